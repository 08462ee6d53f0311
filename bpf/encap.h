/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The last step: towards the backend. */
#ifndef SPILLWAY_ENCAP_H
#define SPILLWAY_ENCAP_H

#include <linux/udp.h>
#include "checksum.h"
#include "count.h"
#include "egress.h"

#define GUE4_BYTES	(sizeof(struct iphdr) + sizeof(struct udphdr))
#define GUE6_BYTES	(sizeof(struct ipv6hdr) + sizeof(struct udphdr))
#define OUTER_TTL	64
#define FLOW_LABEL_MASK 0xfffff

static __always_inline void set_next_hop(struct ethhdr *eth, const struct backend *backend)
{
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->next_hop, ETH_ALEN);
}

static __always_inline int forward_l2(struct xdp_md *ctx, const struct backend *backend)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return count_reason(DROP_INTERNAL);
	set_next_hop(eth, backend);
	return XDP_TX;
}

/*
 * Makes room for `bytes` of outer header in front of the IP header, with Ethernet header and VLAN tags moved ahead of
 * it and `type` as the innermost type. Returns where the outer header goes, or NULL: the frame is unchanged then.
 */
static __always_inline void *push_outer(struct xdp_md *ctx, const struct backend *backend, __u32 link_bytes,
					__u32 bytes, __be16 type)
{
	struct ethhdr *eth, *old;
	struct vlan_tag *tag, *old_tag;
	void *end;

	if (bpf_xdp_adjust_head(ctx, -(int)bytes))
		return NULL;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	old = (void *)eth + bytes;
	/* Room for both headers and two tags: every IP packet with a transport header is longer. */
	if ((void *)old + 22 > end)
		return NULL;
	__builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, backend->next_hop, ETH_ALEN);
	if (link_bytes == sizeof(*eth)) {
		eth->h_proto = type;
		return eth + 1;
	}
	eth->h_proto = old->h_proto;
	tag = (void *)(eth + 1);
	old_tag = (void *)(old + 1);
	tag->tci = old_tag->tci;
	if (link_bytes == sizeof(*eth) + sizeof(*tag)) {
		tag->encapsulated = type;
		return tag + 1;
	}
	tag->encapsulated = old_tag->encapsulated;
	tag++;
	old_tag++;
	tag->tci = old_tag->tci;
	tag->encapsulated = type;
	return tag + 1;
}

/* RFC 2474: what the inner packet asks of routers, the outer one repeats. */
static __always_inline void put_outer4(struct iphdr *ip, const struct packet *packet, const struct backend *backend,
				       __u32 bytes, __u8 protocol, __u32 sum)
{
	__be16 total = bpf_htons(packet->ip_bytes + bytes);

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = packet->traffic_class;
	ip->tot_len = total;
	ip->id = 0; /* DF is set: no fragment will need it (RFC 6864) */
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = OUTER_TTL;
	ip->protocol = protocol;
	ip->saddr = backend->source.words[3];
	ip->daddr = backend->address.words[3];
	ip->check = fold_sum(sum + total + bpf_htons(packet->traffic_class));
}

static __always_inline void put_outer6(struct ipv6hdr *ip, const struct packet *packet, const struct backend *backend,
				       __u32 bytes, __u8 protocol)
{
	/* The flow label lets routers and NICs spread flows of one tunnel (RFC 6438). */
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)packet->traffic_class << 20 | (packet->tag & FLOW_LABEL_MASK));
	ip->payload_len = bpf_htons(packet->ip_bytes + bytes);
	ip->nexthdr = protocol;
	ip->hop_limit = OUTER_TTL;
	__builtin_memcpy(&ip->saddr, backend->source.words, 16);
	__builtin_memcpy(&ip->daddr, backend->address.words, 16);
}

/* No checksum: RFC 6935 and 6936 allow that to tunnels, for the inner packet has its own. */
static __always_inline void put_udp(struct udphdr *udp, const struct packet *packet, const struct backend *backend)
{
	udp->source = bpf_htons(0xc000 | (packet->tag & 0x3fff)); /* RFC 8086, 3.2.1: the flow's entropy */
	udp->dest = backend->tunnel_port;
	udp->len = bpf_htons(packet->ip_bytes + sizeof(*udp));
	udp->check = 0;
}

static __always_inline __u8 inner_protocol(const struct packet *packet)
{
	return packet->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

static __always_inline int forward_ipip4(struct xdp_md *ctx, const struct packet *packet, const struct backend *backend)
{
	struct iphdr *ip = push_outer(ctx, backend, packet->link_bytes, sizeof(*ip), bpf_htons(ETH_P_IP));
	/* backend->outer_sum is that of an IPv4 packet within. */
	__u32 other = packet->v6 ? bpf_htons(IPPROTO_IPV6 - IPPROTO_IPIP) : 0;

	if (!ip)
		return count_reason(DROP_NO_HEADROOM);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return count_reason(DROP_INTERNAL);
	put_outer4(ip, packet, backend, sizeof(*ip), inner_protocol(packet), backend->outer_sum + other);
	return XDP_TX;
}

static __always_inline int forward_ipip6(struct xdp_md *ctx, const struct packet *packet, const struct backend *backend)
{
	struct ipv6hdr *ip = push_outer(ctx, backend, packet->link_bytes, sizeof(*ip), bpf_htons(ETH_P_IPV6));

	if (!ip)
		return count_reason(DROP_NO_HEADROOM);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return count_reason(DROP_INTERNAL);
	put_outer6(ip, packet, backend, 0, inner_protocol(packet));
	return XDP_TX;
}

static __always_inline int forward_gue4(struct xdp_md *ctx, const struct packet *packet, const struct backend *backend)
{
	struct iphdr *ip = push_outer(ctx, backend, packet->link_bytes, GUE4_BYTES, bpf_htons(ETH_P_IP));

	if (!ip)
		return count_reason(DROP_NO_HEADROOM);
	if ((void *)ip + GUE4_BYTES > (void *)(long)ctx->data_end)
		return count_reason(DROP_INTERNAL);
	put_outer4(ip, packet, backend, GUE4_BYTES, IPPROTO_UDP, backend->outer_sum);
	put_udp((void *)(ip + 1), packet, backend);
	return XDP_TX;
}

static __always_inline int forward_gue6(struct xdp_md *ctx, const struct packet *packet, const struct backend *backend)
{
	struct ipv6hdr *ip = push_outer(ctx, backend, packet->link_bytes, GUE6_BYTES, bpf_htons(ETH_P_IPV6));

	if (!ip)
		return count_reason(DROP_NO_HEADROOM);
	if ((void *)ip + GUE6_BYTES > (void *)(long)ctx->data_end)
		return count_reason(DROP_INTERNAL);
	put_outer6(ip, packet, backend, sizeof(struct udphdr), IPPROTO_UDP);
	put_udp((void *)(ip + 1), packet, backend);
	return XDP_TX;
}

/* Ready for its next hop, to go back by the port that it came in by. */
static __always_inline int forward(struct xdp_md *ctx, const struct packet *packet, const struct backend *backend)
{
	switch (backend->forwarding) {
	case FORWARD_L2_DSR:
		return forward_l2(ctx, backend);
	case FORWARD_IPIP4:
		return forward_ipip4(ctx, packet, backend);
	case FORWARD_IPIP6:
		return forward_ipip6(ctx, packet, backend);
	case FORWARD_GUE4:
		return forward_gue4(ctx, packet, backend);
	case FORWARD_GUE6:
		return forward_gue6(ctx, packet, backend);
	default:
		return count_reason(DROP_INTERNAL);
	}
}

/* Reasons why this backend cannot be sent this packet. What goes back the way it came finds room there as it is. */
static __always_inline int check_forwarding(const struct packet *packet, const struct backend *backend)
{
	return backend->outer_bytes && packet->ip_bytes + backend->outer_bytes > backend->mtu ? DROP_TOO_BIG
											      : VERDICT_NONE;
}

static __always_inline int check_steered(const struct packet *packet, const struct backend *backend)
{
	if (packet->ip_bytes + backend->outer_bytes > backend->mtu)
		return DROP_TOO_BIG;
	return egress_of(backend->egress) ? VERDICT_NONE : DROP_EGRESS;
}

static __always_inline int forward_steered(struct xdp_md *ctx, const struct packet *packet,
					   const struct backend *backend)
{
	int verdict = forward(ctx, packet, backend);

	return verdict == XDP_TX ? leave_by(ctx, backend->egress, packet->tag) : verdict;
}

#endif
