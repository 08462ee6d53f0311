// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The backend's side, in two programs that share their maps.
 *
 * `decap` (XDP): strips the outer header of what a load balancer sends, and lets the kernel receive the client's packet
 * as if it had come straight from the router; counts what comes to each VIP, by tunnel or without; gives what goes to
 * a mapped port to the host's own address and port. What is not ours passes untouched; a frame is dropped only once it
 * is known to be a tunnel for this host and cannot be delivered.
 *
 * `reply` (tc egress): gives replies of mapped ports their VIP back, counts what each VIP sends, and lowers the segment
 * size that a VIP's server offers to what fits the tunnel.
 */
#include <linux/pkt_cls.h>

#include "decap_tunnel.h"
#include "decap_inner.h"
#include "decap_usage.h"
#include "decap_ports_in.h"
#include "decap_ports_out.h"
#include "decap_clamp.h"

/* What is to be done with a packet that goes on to a VIP. */
struct arrival {
	struct decap_vip *vip;
	__u32 at; /* of its IP header */
	__u32 overhead;
};

/* Not inlined: its stack is free again when ports are mapped. */
static __noinline int receive(struct xdp_md *ctx, struct arrival *arrival)
{
	struct tunnel tunnel = {};
	int reason;

	reason = parse_ethernet(ctx, &tunnel);
	if (reason != CONTINUE)
		return reason;
	arrival->at = tunnel.outer_at;
	if (tunnel.type == bpf_htons(ETH_P_IP))
		reason = parse_outer4(ctx, &tunnel);
	else if (tunnel.type == bpf_htons(ETH_P_IPV6))
		reason = parse_outer6(ctx, &tunnel);
	else
		return DECAP_PASS_NOT_TUNNEL;
	if (reason != CONTINUE)
		return accept_straight(ctx, &tunnel, &arrival->vip);
	reason = admit(&tunnel);
	if (reason != CONTINUE)
		return reason;
	arrival->overhead = tunnel.outer_bytes;
	reason = tunnel.inner == IPPROTO_IPIP ? accept_inner4(ctx, &tunnel, &arrival->vip)
					      : accept_inner6(ctx, &tunnel, &arrival->vip);
	if (reason != CONTINUE)
		return reason;
	return strip(ctx, &tunnel);
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	__u32 bytes = frame_bytes(ctx), zero = 0;
	struct decap_counters *counters = bpf_map_lookup_elem(&decap_count_v2, &zero);
	struct arrival arrival = {};
	__u32 reason = receive(ctx, &arrival);
	struct decap_vip *vip = arrival.vip;

	if (counters && reason < DECAP_REASON_COUNT) {
		counters->reasons[reason].packets++;
		counters->reasons[reason].bytes += bytes;
	}
	if (reason >= DECAP_FIRST_DROP && reason < DECAP_FIRST_STRIPPED)
		return XDP_DROP;
	if (!vip || (reason != DECAP_PASS_VIP && reason < DECAP_FIRST_STRIPPED))
		return XDP_PASS;
	if (vip->overhead < arrival.overhead)
		vip->overhead = arrival.overhead;
	count_in(vip->slot, bytes - arrival.overhead);
	if (config.map_ports && (vip->flags & DECAP_VIP_MAPPED))
		map_in(ctx, arrival.at);
	return XDP_PASS;
}

/* Where the IP header begins, and where it comes from; 0: no IP packet, or cut off. */
static __always_inline __u32 read_source(struct __sk_buff *skb, struct address *source)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct vlan_tag *tag = (void *)(ethernet + 1);
	__u32 at = sizeof(*ethernet), i;
	struct ipv6hdr *ip6;
	struct iphdr *ip;
	__be16 type;

	if ((void *)(ethernet + 1) > end)
		return 0;
	type = ethernet->h_proto;
#pragma unroll
	for (i = 0; i < 2; i++) {
		if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		type = tag->type;
		at += sizeof(*tag);
		tag++;
	}
	if (type == bpf_htons(ETH_P_IP)) {
		ip = data + at;
		if ((void *)(ip + 1) > end || ip->version != 4)
			return 0;
		address_from4(source, ip->saddr);
		return at;
	}
	if (type != bpf_htons(ETH_P_IPV6))
		return 0;
	ip6 = data + at;
	if ((void *)(ip6 + 1) > end || ip6->version != 6)
		return 0;
	address_from6(source, &ip6->saddr);
	return at;
}

/* Others may have filters behind this one. */
#define GO_ON TC_ACT_UNSPEC

SEC("tc")
int reply(struct __sk_buff *skb)
{
	const struct decap_vip *vip;
	struct address source;
	__u32 at, tcp_at;
	int slot;

	at = read_source(skb, &source);
	if (!at)
		return GO_ON;
	vip = find_vip(&source, DIRECTION_OUT);
	if (!vip)
		return GO_ON;
	slot = vip->flags & DECAP_VIP_COUNTED ? (int)vip->slot : NOT_MAPPED;
	if (config.map_ports && (vip->flags & DECAP_VIP_HOST)) {
		int mapped_slot = map_out(skb, at);

		if (mapped_slot == MAPPING_FAILED)
			return TC_ACT_SHOT;
		if (mapped_slot != NOT_MAPPED)
			slot = mapped_slot;
	}
	if (slot == NOT_MAPPED)
		return GO_ON;
	count_out(slot, skb);
	if (config.clamp) {
		tcp_at = syn_ack_at(skb, at, &source);
		if (tcp_at)
			clamp_mss(skb, at, tcp_at, &source);
	}
	return GO_ON;
}

/* Dual BSD/GPL to the kernel; the source is offered under either licence of the first line. */
char _license[] SEC("license") = "Dual BSD/GPL";
