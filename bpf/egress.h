/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Leaving by another way than back by the port, and with the tags, that the packet came with: another interface, a
 * VLAN, any slave of a bond. Backends whose `egress` is 0 never come here.
 */
#ifndef SPILLWAY_EGRESS_H
#define SPILLWAY_EGRESS_H

#include "count.h"

#define VLAN_PRIORITY 0xf000 /* priority and drop eligible: the packet's own, whatever VLAN carries it */

static __always_inline const struct egress *egress_of(__u32 index)
{
	const struct egress *egress = bpf_map_lookup_elem(&egresses_v2, &index);

	return egress && egress->flags & EGRESS_IN_USE ? egress : NULL;
}

/* Source address and tag; all tags that were there go, and the destination stays. False: the frame is unchanged. */
static __always_inline bool set_link_header(struct xdp_md *ctx, const struct egress *egress)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct vlan_tag *tag = (void *)(eth + 1);
	__u32 tags = 0, wanted = egress->vlan ? sizeof(*tag) : 0;
	__u64 destination;
	__u16 priority = 0;
	__be16 type;

	/* Every IP packet with a transport header is longer. */
	if ((void *)(tag + MAX_VLAN_TAGS) > (void *)(long)ctx->data_end)
		return false;
	destination = mac_bits(eth->h_dest);
	type = eth->h_proto;
	if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) {
		priority = bpf_ntohs(tag->tci) & VLAN_PRIORITY;
		type = tag->encapsulated;
		tags = sizeof(*tag);
		if (type == bpf_htons(ETH_P_8021Q)) {
			type = tag[1].encapsulated;
			tags += sizeof(*tag);
		}
	}
	if (tags != wanted) {
		if (bpf_xdp_adjust_head(ctx, (int)tags - (int)wanted))
			return false;
		eth = (void *)(long)ctx->data;
		tag = (void *)(eth + 1);
		if ((void *)(tag + 1) > (void *)(long)ctx->data_end)
			return false;
	}
	__builtin_memcpy(eth->h_dest, &destination, ETH_ALEN);
	__builtin_memcpy(eth->h_source, egress->mac, ETH_ALEN);
	if (wanted) {
		eth->h_proto = bpf_htons(ETH_P_8021Q);
		tag->tci = bpf_htons(priority | egress->vlan);
		tag->encapsulated = type;
	} else {
		eth->h_proto = type;
	}
	return true;
}

/* Back by the port that it came in by where that is one of them; else the flow's own among them. */
static __always_inline int send_by_port(struct xdp_md *ctx, const struct egress *egress, __u32 hash)
{
	__u32 chosen;

	for (int i = 0; i < EGRESS_PORTS && egress->ports[i]; i++)
		if (egress->ports[i] == ctx->ingress_ifindex)
			return XDP_TX;
	chosen = ((__u64)hash * egress->port_count >> 32) & (EGRESS_PORTS - 1);
	asm volatile("" : "+r"(chosen));
	return bpf_redirect(egress->ports[chosen & (EGRESS_PORTS - 1)], 0);
}

/*
 * After the frame was made ready for its next hop. A function of its own: the established path has no more of it than
 * the question whether there is an egress.
 */
__noinline int leave_by(struct xdp_md *ctx, __u32 index, __u32 hash)
{
	const struct egress *egress = egress_of(index);

	if (!egress || !set_link_header(ctx, egress))
		return count_reason(DROP_EGRESS);
	return send_by_port(ctx, egress, hash);
}

#endif
