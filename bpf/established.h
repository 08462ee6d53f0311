/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The short way: an untagged frame that is to no VIP, or of an established session of which nothing but its time is to
 * be changed. Whatever is not just that takes the long way, which decides everything anew; so this may decline, but
 * never differ.
 *
 * It costs no call and keeps its variables in registers: about two thirds of the long way's time.
 */
#ifndef SPILLWAY_ESTABLISHED_H
#define SPILLWAY_ESTABLISHED_H

#include "fingerprint.h"
#include "session.h"
#include "persistence.h"
#include "encap.h"

#define LONG_WAY (-1)

static __always_inline void count_established(const struct packet *packet, __u64 session)
{
	count_traffic(&svc_counters_v2, session_service(session), packet->frame_bytes, false, true);
	count_traffic(&be_counters_v2, session_backend(session), packet->frame_bytes, false, true);
	note(CAPTURE_FORWARDED, session_service(session), session_backend(session));
}

/* What encapsulation reads of an untagged packet, in one register. */
static __always_inline __u64 pack_shape(const struct packet *packet)
{
	return packet->ip_bytes | (__u64)packet->traffic_class << 32 | (__u64)packet->v6 << 40;
}

/* A call, so that the code of backends that are not steered stays as it is. */
static __noinline int steer_established(struct xdp_md *ctx, const struct backend *backend, __u64 tag, __u64 shape)
{
	struct packet packet = {
		.link_bytes = sizeof(struct ethhdr),
		.ip_bytes = shape,
		.traffic_class = shape >> 32,
		.v6 = shape >> 40,
		.tag = tag,
	};

	return forward_steered(ctx, &packet, backend);
}

/*
 * Writes the time of last use, if that is all that depends on it. A call as well: of a busy flow's packets few come
 * here.
 */
static __noinline bool refresh(struct session_slot *slot, __u64 value, __u32 tick)
{
	struct service *service = service_at(session_service(value));

	if (!slot || !service || is_persistent(service) ||
	    session_idle(value, tick) > service->timeout_ticks[SESSION_ESTABLISHED])
		return false;
	__sync_val_compare_and_swap(
		&slot->value, value,
		session_value(session_backend(value), session_service(value), tick, SESSION_ESTABLISHED));
	return true;
}

static __always_inline int forward_established(struct xdp_md *ctx, struct packet *packet,
					       const struct settings *settings)
{
	struct session_hit hit = {};
	struct backend *backend;
	int verdict;

	packet->tick = bpf_jiffies64() >> settings->tick_shift;
	if (!session_find(packet->tag, &hit) || session_state(hit.value) != SESSION_ESTABLISHED)
		return LONG_WAY;
	backend = backend_up(session_backend(hit.value));
	if (!backend)
		return LONG_WAY;
	if (session_idle(hit.value, packet->tick) >= REFRESH_TICKS && !refresh(hit.slot, hit.value, packet->tick))
		return LONG_WAY;
	if (__builtin_expect(backend->flags & BACKEND_STEERED, 0)) {
		if (check_steered(packet, backend) != VERDICT_NONE)
			return LONG_WAY;
		verdict = steer_established(ctx, backend, packet->tag, pack_shape(packet));
	} else {
		if (check_forwarding(packet, backend) != VERDICT_NONE)
			return LONG_WAY;
		verdict = forward(ctx, packet, backend);
	}
	if (verdict != XDP_DROP)
		count_established(packet, hit.value);
	return verdict;
}

/* The transport of a whole packet right behind its IP header: true when nothing but the session need be asked. */
static __always_inline bool is_plain(void *l4, void *end, int l4_bytes, struct packet *packet)
{
	if (packet->link_bytes + packet->ip_bytes > packet->frame_bytes)
		return false;
	if (packet->protocol == IPPROTO_TCP) {
		if (l4_bytes < 20 || l4 + 20 > end || *(__u8 *)(l4 + 13) & (TCP_SYN | TCP_FIN | TCP_RST))
			return false;
	} else if (packet->protocol != IPPROTO_UDP || l4_bytes < 8 || l4 + 8 > end) {
		return false;
	}
	packet->ports = *(__be32 *)l4;
	return true;
}

static __always_inline int short_way(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet packet = {.link_bytes = sizeof(struct ethhdr), .frame_bytes = end - data};
	struct ethhdr *eth = data;
	struct iphdr *ip4 = data + sizeof(*eth);
	struct ipv6hdr *ip6 = data + sizeof(*eth);
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);

	if (!settings || config.frags || (void *)(ip4 + 1) > end)
		return LONG_WAY;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (!may_be_vip4(ip4->daddr))
			return count_reason(PASS_NOT_VIP);
		/* Version 4, no options, no fragment. */
		if (!is_own_mac(mac_bits(eth->h_dest), settings) || *(__u8 *)ip4 != 0x45 ||
		    ip4->frag_off & bpf_htons(0x3fff))
			return LONG_WAY;
		packet.protocol = ip4->protocol;
		packet.traffic_class = ip4->tos;
		packet.ip_bytes = bpf_ntohs(ip4->tot_len);
		if (!is_plain(ip4 + 1, end, packet.ip_bytes - sizeof(*ip4), &packet))
			return LONG_WAY;
		packet.tag = fingerprint4(ip4->saddr, ip4->daddr, packet.ports, packet.protocol, settings);
		return forward_established(ctx, &packet, settings);
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) && (void *)(ip6 + 1) <= end) {
		if (!may_be_vip6(ip6->daddr.in6_u.u6_addr32))
			return count_reason(PASS_NOT_VIP);
		if (!is_own_mac(mac_bits(eth->h_dest), settings) || ip6->version != 6)
			return LONG_WAY;
		packet.v6 = true;
		packet.protocol = ip6->nexthdr;
		packet.traffic_class = traffic_class6(ip6);
		packet.ip_bytes = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
		if (!is_plain(ip6 + 1, end, packet.ip_bytes - sizeof(*ip6), &packet))
			return LONG_WAY;
		packet.tag = fingerprint6(ip6->saddr.in6_u.u6_addr32, ip6->daddr.in6_u.u6_addr32, packet.ports,
					  packet.protocol, settings);
		return forward_established(ctx, &packet, settings);
	}
	return LONG_WAY;
}

#endif
