/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The client's packet within: whether it is whole and wanted, and how it gets out. */
#ifndef SPILLWAY_DECAP_INNER_H
#define SPILLWAY_DECAP_INNER_H

#include "decap_tunnel.h"

#define ECN_NOT_ECT 0
#define ECN_ECT1    1
#define ECN_ECT0    2
#define ECN_CE	    3

/* RFC 6040, figure 4; -1: to be dropped. */
static __always_inline int merge_ecn(__u8 outer, __u8 inner)
{
	if (inner == ECN_NOT_ECT)
		return outer == ECN_CE ? -1 : ECN_NOT_ECT;
	if (outer == ECN_CE)
		return ECN_CE;
	if (inner == ECN_ECT0 && outer == ECN_ECT1)
		return ECN_ECT1;
	return inner;
}

/* `*found`: what is known of its destination. */
static __always_inline int accept_inner4(struct xdp_md *ctx, const struct tunnel *tunnel, struct decap_vip **found)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + tunnel->outer_at + tunnel->outer_bytes;
	struct address vip;
	__u16 before, after;
	__u32 total;
	int ecn;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return DECAP_DROP_INNER;
	total = bpf_ntohs(ip->tot_len);
	if (total < ip->ihl * 4 || total > tunnel->payload)
		return DECAP_DROP_INNER;
	address_from4(&vip, ip->daddr);
	*found = find_vip(&vip, DIRECTION_IN);
	if (config.check_vip && !*found)
		return DECAP_PASS_NOT_VIP;
	ecn = merge_ecn(tunnel->ecn, ip->tos & ECN_MASK);
	if (ecn < 0)
		return DECAP_DROP_ECN;
	if (ecn == (ip->tos & ECN_MASK))
		return CONTINUE;
	/* RFC 1624: HC' = ~(~HC + ~m + m'). */
	before = *(__u16 *)ip;
	ip->tos = (ip->tos & ~ECN_MASK) | ecn;
	after = *(__u16 *)ip;
	ip->check = ~fold((__u16)~ip->check + (__u16)~before + after);
	return CONTINUE;
}

static __always_inline int accept_inner6(struct xdp_md *ctx, const struct tunnel *tunnel, struct decap_vip **found)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + tunnel->outer_at + tunnel->outer_bytes;
	struct address vip;
	int ecn;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_DROP_INNER;
	if (bpf_ntohs(ip->payload_len) + sizeof(*ip) > tunnel->payload)
		return DECAP_DROP_INNER;
	address_from6(&vip, &ip->daddr);
	*found = find_vip(&vip, DIRECTION_IN);
	if (config.check_vip && !*found)
		return DECAP_PASS_NOT_VIP;
	ecn = merge_ecn(tunnel->ecn, (ip->flow_lbl[0] >> 4) & ECN_MASK);
	if (ecn < 0)
		return DECAP_DROP_ECN;
	ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | ecn << 4;
	return CONTINUE;
}

static __always_inline int stripped_reason(const struct tunnel *tunnel)
{
	int outer4 = tunnel->type == bpf_htons(ETH_P_IP);

	if (tunnel->gue)
		return outer4 ? DECAP_STRIPPED_GUE4 : DECAP_STRIPPED_GUE6;
	if (tunnel->inner == IPPROTO_IPIP)
		return outer4 ? DECAP_STRIPPED_4IN4 : DECAP_STRIPPED_4IN6;
	return outer4 ? DECAP_STRIPPED_6IN4 : DECAP_STRIPPED_6IN6;
}

/* Ethernet header and tags move up to the inner packet; the last type on the way becomes the inner one's. */
static __always_inline int strip(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	__be16 type = tunnel->inner == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	struct vlan_tag *tags;
	struct ethhdr *ethernet;
	void *end;

	if (bpf_xdp_adjust_head(ctx, tunnel->outer_bytes))
		return DECAP_DROP_INTERNAL;
	ethernet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	tags = (void *)(ethernet + 1);
	if ((void *)(ethernet + 1) > end)
		return DECAP_DROP_INTERNAL;
	*ethernet = tunnel->ethernet;
	if (tunnel->tag_count == 0) {
		ethernet->h_proto = type;
	} else if (tunnel->tag_count == 1) {
		if ((void *)(tags + 1) > end)
			return DECAP_DROP_INTERNAL;
		tags[0] = (struct vlan_tag){tunnel->tags[0].control, type};
	} else {
		if ((void *)(tags + 2) > end)
			return DECAP_DROP_INTERNAL;
		tags[0] = tunnel->tags[0];
		tags[1] = (struct vlan_tag){tunnel->tags[1].control, type};
	}
	return stripped_reason(tunnel);
}

/* What came without a tunnel, to a VIP: by L2_DSR. */
static __always_inline int accept_straight(struct xdp_md *ctx, const struct tunnel *tunnel, struct decap_vip **found)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + tunnel->outer_at;
	struct ipv6hdr *ip6 = data + tunnel->outer_at;
	struct decap_vip *vip;
	struct address address;

	if (tunnel->type == bpf_htons(ETH_P_IP)) {
		if ((void *)(ip + 1) > end || ip->version != 4)
			return DECAP_PASS_NOT_TUNNEL;
		address_from4(&address, ip->daddr);
	} else if (tunnel->type == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end || ip6->version != 6)
			return DECAP_PASS_NOT_TUNNEL;
		address_from6(&address, &ip6->daddr);
	} else {
		return DECAP_PASS_NOT_TUNNEL;
	}
	vip = find_vip(&address, DIRECTION_IN);
	if (!vip)
		return DECAP_PASS_NOT_TUNNEL;
	if (!own_mac(&tunnel->ethernet))
		return DECAP_PASS_OTHER_MAC;
	*found = vip;
	return DECAP_PASS_VIP;
}

#endif
