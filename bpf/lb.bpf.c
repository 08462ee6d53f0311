// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The load balancer's data path: session first, VIP second. README.md shows the way of a packet and the maps.
 */
#include "packet.h"
#include "fingerprint.h"
#include "session.h"
#include "session_insert.h"
#include "select.h"
#include "encap.h"
#include "established.h"

/* Might this address be a VIP? The same function is in src/compile/vip-filter.ts. */
static __always_inline bool may_be_vip(__u32 w0, __u32 w1, __u32 w2, __u32 w3)
{
	__u32 zero = 0, bit = (w0 * 0x9e3779b1u + w1 * 0x85ebca77u + w2 * 0xc2b2ae3du + w3 * 0x27d4eb2fu) >> 16;
	struct vip_filter *filter = bpf_map_lookup_elem(&vip_filter_v1, &zero);

	return filter && filter->words[bit / 64] >> (bit % 64) & 1;
}

static __always_inline bool is_own_mac(const struct ethhdr *eth, const struct settings *settings)
{
	__u64 mac = mac_bits(eth->h_dest);

	if (mac == settings->macs[0])
		return true;
	for (int i = 1; i < MAX_MACS && settings->macs[i]; i++)
		if (mac == settings->macs[i])
			return true;
	return false;
}

static __always_inline int record(const struct packet *packet, const struct choice *choice, __u64 value)
{
	struct insertion in = {
		.tag = packet->tag,
		.value = value,
		.tick = packet->tick,
		.detail =
			{
				.client_port = (__be16)packet->ports,
				.service = choice->service_id,
				.created_tick = packet->tick,
				.tag_check = packet->tag >> 32,
				.protocol = packet->protocol,
			},
	};

	put_address(&in.detail.client, packet->v6, packet->source4, packet->source6);
	return session_record(&in);
}

static __always_inline bool wants_session(const struct packet *packet, const struct choice *choice)
{
	if (packet->tcp_flags & TCP_SYN)
		return choice->record_syn;
	return !(packet->tcp_flags & (TCP_FIN | TCP_RST));
}

/* A new flow, or one whose session is over or has lost its backend (hit->slot is then its slot). */
static __always_inline int choose(const struct packet *packet, const struct settings *settings,
				  const struct session_hit *hit, struct choice *choice, bool *fresh, bool *tracked)
{
	int reason, service = service_of(packet);
	__u64 value;

	if (service <= NO_LISTENER)
		return service == NO_VIP ? PASS_NOT_VIP : DROP_NO_LISTENER;
	choice->service_id = service;
	choice->service = bpf_map_lookup_elem(&services_v1, &choice->service_id);
	if (!choice->service)
		return DROP_INTERNAL;
	if (choice->service->flags & SERVICE_STOPPED)
		return DROP_STOPPED;
	reason = select_backend(packet, settings, choice);
	if (reason != VERDICT_NONE)
		return reason;

	value = session_value(choice->backend_id, choice->service_id, packet->tick, SESSION_YOUNG);
	if (hit->slot) {
		__u32 state = packet->tcp_flags & (TCP_FIN | TCP_RST) ? SESSION_CLOSING : SESSION_YOUNG;

		value = session_value(choice->backend_id, choice->service_id, packet->tick, state);
		*fresh = *tracked = __sync_val_compare_and_swap(&hit->slot->value, hit->value, value) == hit->value;
		count_table(TABLE_RESELECTED, 1);
	} else if (wants_session(packet, choice)) {
		*fresh = *tracked = record(packet, choice, value);
	}
	return VERDICT_NONE;
}

/* Does the session found still say where this packet goes? */
static __always_inline bool session_holds(const struct session_hit *hit, const struct packet *packet)
{
	bool new_connection = packet->tcp_flags & TCP_SYN && session_state(hit->value) == SESSION_CLOSING;

	if (new_connection)
		return false;
	return session_idle(hit->value, packet->tick) < REFRESH_TICKS || !session_expired(hit->value, packet->tick);
}

/* Session first: only a flow without one is looked up by its VIP. */
static __always_inline int route(const struct packet *packet, const struct settings *settings, struct choice *choice,
				 bool *fresh, bool *tracked)
{
	struct session_hit hit;
	int reason;

	if (session_find(packet->tag, &hit) && session_holds(&hit, packet)) {
		choice->backend_id = session_backend(hit.value);
		choice->service_id = session_service(hit.value);
		choice->backend = backend_up(choice->backend_id);
	}
	if (choice->backend) {
		*tracked = true;
		session_touch(&hit, packet);
	} else {
		reason = choose(packet, settings, &hit, choice, fresh, tracked);
		if (reason != VERDICT_NONE)
			return reason;
	}
	return check_forwarding(packet, choice->backend);
}

static __always_inline int admit(struct xdp_md *ctx, struct packet *packet, const struct ethhdr *eth, int reason)
{
	bool fresh = false, tracked = false;
	struct choice choice = {};
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v1, &zero);

	if (!settings)
		return count_reason(DROP_INTERNAL);
	packet->tick = bpf_jiffies64() >> settings->tick_shift;
	if (!is_own_mac(eth, settings))
		return count_reason(PASS_OTHER_MAC);
	if (reason == VERDICT_NONE) {
		packet->tag = flow_fingerprint(packet, settings);
		reason = route(packet, settings, &choice, &fresh, &tracked);
	} else if (service_of(packet) == NO_VIP) {
		/* The filter lets some strangers through: only the VIP map tells. */
		reason = PASS_NOT_VIP;
	}
	if (reason != VERDICT_NONE)
		return finish(reason, packet);
	count_traffic(&svc_counters_v1, choice.service_id, packet, fresh, tracked);
	count_traffic(&be_counters_v1, choice.backend_id, packet, fresh, tracked);
	return forward(ctx, packet, choice.backend);
}

static __always_inline int on_ip4(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + packet->link_bytes;

	if ((void *)(ip + 1) > end)
		return count_reason(PASS_MALFORMED);
	if (!may_be_vip(0, 0, bpf_htonl(0xffff), ip->daddr))
		return count_reason(PASS_NOT_VIP);
	packet->v6 = false;
	packet->source4 = ip->saddr;
	packet->destination4 = ip->daddr;
	packet->frame_bytes = frame_length(ctx);
	return admit(ctx, packet, data, parse_ip4(ip, end, packet));
}

static __always_inline int on_ip6(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + packet->link_bytes;
	const __be32 *d;

	if ((void *)(ip + 1) > end)
		return count_reason(PASS_MALFORMED);
	d = ip->daddr.in6_u.u6_addr32;
	if (!may_be_vip(d[0], d[1], d[2], d[3]))
		return count_reason(PASS_NOT_VIP);
	packet->v6 = true;
	packet->source6 = &ip->saddr;
	packet->destination6 = &ip->daddr;
	packet->frame_bytes = frame_length(ctx);
	return admit(ctx, packet, data, parse_ip6(ip, end, packet));
}

/* Two functions, for the stack of one would hold the variables of both families. */
static __noinline int long_way_ip4(struct xdp_md *ctx)
{
	struct packet packet = {};

	parse_link((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet);
	return on_ip4(ctx, &packet);
}

static __noinline int long_way_ip6(struct xdp_md *ctx)
{
	struct packet packet = {};

	parse_link((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet);
	return on_ip6(ctx, &packet);
}

static __always_inline int long_way(struct xdp_md *ctx)
{
	struct packet packet = {};
	__be16 type = parse_link((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet);

	if (type == bpf_htons(ETH_P_IP))
		return long_way_ip4(ctx);
	if (type == bpf_htons(ETH_P_IPV6))
		return long_way_ip6(ctx);
	return count_reason(type ? PASS_NOT_IP : PASS_MALFORMED);
}

SEC("xdp")
int lb(struct xdp_md *ctx)
{
	int verdict = short_way(ctx);

	return verdict == LONG_WAY ? long_way(ctx) : verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
