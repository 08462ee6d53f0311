/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP to a VIP. An error speaks of a packet that a backend sent in the VIP's name: it goes to the backend that owns
 * the flow, as part of that flow. What it quotes must have come from the address that it is sent to; whether it is true
 * is for the backend's TCP to judge (RFC 5927).
 */
#ifndef SPILLWAY_ICMP_H
#define SPILLWAY_ICMP_H

#include "echo.h"
#include "route.h"

/* As many bytes of the quoted transport header as every error has: RFC 792. */
#define QUOTED_TRANSPORT 8

/* Those that are errors; source quench (4) is not listened to any more: RFC 6633. */
enum { ICMP4_UNREACHABLE = 3, ICMP4_TIME_EXCEEDED = 11, ICMP4_PARAMETER = 12 };
enum { ICMP6_UNREACHABLE = 1, ICMP6_TOO_BIG = 2, ICMP6_TIME_EXCEEDED = 3, ICMP6_PARAMETER = 4 };

static __always_inline bool is_error4(__u8 type)
{
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER;
}

static __always_inline bool is_error6(__u8 type)
{
	return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
}

enum { ICMP6_ROUTER_SOLICITATION = 133, ICMP6_REDIRECT = 137, ON_LINK_HOPS = 255 };

/* Neighbour discovery, which no router passes on (RFC 4861, 3.1): the kernel's, like ARP. */
static __always_inline bool is_neighbor_discovery(struct xdp_md *ctx, const struct packet *packet, __u8 type)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + (packet->link_bytes & 0x1f);

	return packet->v6 && type >= ICMP6_ROUTER_SOLICITATION && type <= ICMP6_REDIRECT && (void *)(ip + 1) <= end &&
	       ip->hop_limit == ON_LINK_HOPS;
}

static __always_inline int quoted4(struct xdp_md *ctx, const struct packet *packet, struct walk *walk,
				   struct address *client)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + (walk->at & 0x3ff);
	__u32 header;

	if ((void *)(ip + 1) > end || walk->at + sizeof(*ip) > walk->stop)
		return DROP_ICMP_QUOTE;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip) || ip->saddr != packet->destination.words[3] ||
	    ip->frag_off & bpf_htons(0x1fff))
		return DROP_ICMP_QUOTE;
	map_address4(client, ip->daddr);
	walk->next = ip->protocol;
	walk->at += header;
	return VERDICT_NONE;
}

static __always_inline int quoted6(struct xdp_md *ctx, const struct packet *packet, struct walk *walk,
				   struct address *client)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + (walk->at & 0x3ff);
	const __be32 *from = packet->destination.words;
	__be32 *s;

	if ((void *)(ip + 1) > end || walk->at + sizeof(*ip) > walk->stop)
		return DROP_ICMP_QUOTE;
	s = ip->saddr.in6_u.u6_addr32;
	if (ip->version != 6 || s[0] != from[0] || s[1] != from[1] || s[2] != from[2] || s[3] != from[3])
		return DROP_ICMP_QUOTE;
	__builtin_memcpy(client, &ip->daddr, sizeof(*client));
	walk->next = ip->nexthdr;
	walk->at += sizeof(*ip);
	if (walk_extensions(ctx, walk) != VERDICT_NONE || walk->fragment == FRAGMENT_LATER)
		return DROP_ICMP_QUOTE;
	return VERDICT_NONE;
}

/*
 * The flow that the quoted packet belongs to, seen from the client: what the VIP sent to it, turned round. From then on
 * `packet` names that flow.
 */
static __always_inline int find_quoted_flow(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct walk walk = {.at = packet->l4_at + sizeof(struct icmp), .stop = packet->link_bytes + packet->ip_bytes};
	struct address client = {};
	__be32 ports;
	void *l4;
	int reason;

	reason = packet->v6 ? quoted6(ctx, packet, &walk, &client) : quoted4(ctx, packet, &walk, &client);
	if (reason != VERDICT_NONE)
		return reason;
	l4 = data + (walk.at & 0x3ff);
	if (walk.at + QUOTED_TRANSPORT > walk.stop || l4 + QUOTED_TRANSPORT > end)
		return DROP_ICMP_QUOTE;
	if (walk.next != IPPROTO_TCP && walk.next != IPPROTO_UDP)
		return DROP_ICMP_NO_FLOW;
	ports = *(__be32 *)l4;
	packet->source = client;
	packet->ports = ports >> 16 | ports << 16;
	packet->protocol = walk.next;
	packet->icmp_error = true;
	return VERDICT_NONE;
}

/* By a session, which it does not keep alive. */
static __always_inline bool owner_by_session(struct work *work, __u64 tag)
{
	struct session_hit hit;

	if (!session_find(tag, &hit) || !session_holds(&hit, &work->packet) || !backend_up(session_backend(hit.value)))
		return false;
	work->backend_id = session_backend(hit.value);
	work->service_id = session_service(hit.value);
	work->tracked = true;
	return true;
}

/*
 * Without its id a QUIC packet tells no more than where its client's first ones went: the owner, unless the client has
 * changed its address since.
 */
static __always_inline int choose_quic_owner(struct work *work, const struct pool *pool)
{
	__u64 tag = quic_fallback_tag(work->packet.tag);

	if (!owner_by_session(work, tag))
		return select_hashed(work, pool, work->packet.tag);
	work->packet.tag = tag;
	return VERDICT_NONE;
}

/* A flow without a session: where the scheduler would send it, if that is a matter of the packet alone. */
static __always_inline int choose_owner(struct work *work, const struct settings *settings)
{
	int id = service_of(&work->packet);
	struct service *service;
	struct pool *pool;
	__u32 key = id;

	if (id <= NO_LISTENER)
		return DROP_ICMP_NO_FLOW;
	work->service_id = id;
	service = bpf_map_lookup_elem(&services_v2, &key);
	if (!service)
		return DROP_INTERNAL;
	if (service->flags & SERVICE_STOPPED)
		return DROP_STOPPED;
	key = service->pool;
	pool = bpf_map_lookup_elem(&pools_v2, &key);
	if (!pool || !(pool->flags & POOL_IN_USE))
		return DROP_INTERNAL;
	if (is_persistent(service))
		return DROP_ICMP_NO_FLOW;
	if (service->access && access_denied(&work->packet, service->access))
		return refuse(DROP_ACCESS_DENIED, service->listener_limit);
	switch (service->schedule) {
	case SCHEDULE_SOURCE:
		return select_hashed(work, pool, source_fingerprint(&work->packet, settings));
	case SCHEDULE_TUPLE:
		return select_hashed(work, pool, work->packet.tag);
	case SCHEDULE_QUIC:
		return choose_quic_owner(work, pool);
	default:
		return DROP_ICMP_NO_FLOW;
	}
}

/* Makes no session and keeps none alive. */
static __always_inline int route_error(struct work *work, const struct settings *settings)
{
	struct packet *packet = &work->packet;

	packet->tag = flow_fingerprint(packet, settings);
	return owner_by_session(work, packet->tag) ? VERDICT_NONE : choose_owner(work, settings);
}

/* VERDICT_NONE: to work->backend_id with it. */
__noinline int handle_icmp(struct xdp_md *ctx, struct work *work)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);
	__u8 *type;
	int reason;

	if (!work || !settings)
		return DROP_INTERNAL;
	type = data + (work->packet.l4_at & 0x3ff);
	if ((void *)(type + sizeof(struct icmp)) > end)
		return DROP_INTERNAL;
	if (*type == (work->packet.v6 ? ICMP6_ECHO : ICMP4_ECHO))
		return answer_echo(ctx, &work->packet, settings);
	if (is_neighbor_discovery(ctx, &work->packet, *type))
		return PASS_NEIGHBOR;
	if (work->packet.v6 ? !is_error6(*type) : !is_error4(*type))
		return DROP_ICMP;
	reason = find_quoted_flow(ctx, &work->packet);
	return reason == VERDICT_NONE ? route_error(work, settings) : reason;
}

#endif
