/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The long way's parser: any frame to a packet, or to the reason why it is none. Reads within bounds only. Each step
 * returns VERDICT_NONE, a kind or a reason; a pass is decided before a drop, for only what is to a VIP is ours to drop.
 */
#ifndef SPILLWAY_PARSE_H
#define SPILLWAY_PARSE_H

#include "extension.h"
#include "work.h"

/* The length of a frame with fragments is known to a helper alone. */
static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return config.frags ? bpf_xdp_get_buff_len(ctx) : linear_length(ctx);
}

/* Ethernet and up to two VLAN tags. Returns the type that follows, or 0 when the frame is too short. */
static __always_inline __be16 parse_link(void *data, void *end, struct packet *packet)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = data + sizeof(*eth);
	__be16 type;

	if ((void *)(eth + 1) > end)
		return 0;
	packet->mac = mac_bits(eth->h_dest);
	type = eth->h_proto;
	packet->link_bytes = sizeof(*eth);
	if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD))
		return type;
	if ((void *)(tag + 1) > end)
		return 0;
	type = tag->encapsulated;
	packet->link_bytes += sizeof(*tag);
	if (type != bpf_htons(ETH_P_8021Q))
		return type;
	tag++;
	if ((void *)(tag + 1) > end)
		return 0;
	packet->link_bytes += sizeof(*tag);
	return tag->encapsulated;
}

/* IPv4 header at link_bytes. Returns whether there is one; `problem` is what else is wrong with it. */
static __always_inline int parse_ip4(void *data, void *end, struct packet *packet, int *problem)
{
	struct iphdr *ip = data + packet->link_bytes;
	__u32 header;

	if ((void *)(ip + 1) > end)
		return PASS_MALFORMED;
	if (!may_be_vip4(ip->daddr))
		return PASS_NOT_VIP;
	header = ip->ihl * 4;
	packet->v6 = false;
	map_address4(&packet->source, ip->saddr);
	map_address4(&packet->destination, ip->daddr);
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	packet->ip_bytes = bpf_ntohs(ip->tot_len);
	packet->l4_at = packet->link_bytes + header;
	packet->dont_fragment = ip->frag_off & bpf_htons(0x4000);
	packet->fragment_id = ip->id;
	if (ip->version != 4 || header < sizeof(*ip) || packet->ip_bytes < header ||
	    packet->link_bytes + packet->ip_bytes > packet->frame_bytes)
		*problem = DROP_MALFORMED;
	else if (ip->frag_off & bpf_htons(0x1fff))
		packet->fragment = FRAGMENT_LATER;
	else if (ip->frag_off & bpf_htons(0x2000))
		packet->fragment = FRAGMENT_FIRST;
	return VERDICT_NONE;
}

static __always_inline int parse_ip6(struct xdp_md *ctx, struct packet *packet, int *problem)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + packet->link_bytes;
	struct walk walk;

	if ((void *)(ip + 1) > end)
		return PASS_MALFORMED;
	if (!may_be_vip6(ip->daddr.in6_u.u6_addr32) || is_mapped4(ip->daddr.in6_u.u6_addr32))
		return PASS_NOT_VIP;
	packet->v6 = true;
	__builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
	__builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
	packet->protocol = ip->nexthdr;
	packet->traffic_class = traffic_class6(ip);
	packet->ip_bytes = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->dont_fragment = true;
	if (ip->version != 6 || packet->link_bytes + packet->ip_bytes > packet->frame_bytes) {
		*problem = DROP_MALFORMED;
		return VERDICT_NONE;
	}
	walk = (struct walk){.at = packet->link_bytes + sizeof(*ip),
			     .stop = packet->link_bytes + packet->ip_bytes,
			     .next = ip->nexthdr};
	if (is_extension(walk.next))
		*problem = walk_extensions(ctx, &walk);
	packet->l4_at = walk.at;
	packet->protocol = walk.next;
	packet->fragment = walk.fragment;
	packet->fragment_id = walk.id;
	return VERDICT_NONE;
}

/* Of a later fragment nothing but the protocol is known, and of IPv6 not even that where a header stands before it. */
static __always_inline int later_fragment(const struct packet *packet)
{
	switch (packet->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return KIND_LATER;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return DROP_ICMP;
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return packet->v6 ? KIND_LATER : DROP_PROTOCOL;
	default:
		return packet->v6 && is_extension(packet->protocol) ? DROP_EXTENSION : DROP_PROTOCOL;
	}
}

/* TCP and UDP alike: ports, and for TCP the flags. */
static __always_inline int parse_transport(void *data, void *end, struct packet *packet)
{
	__u32 at = packet->l4_at & 0x3ff;
	int l4_bytes = packet->link_bytes + packet->ip_bytes - packet->l4_at;
	void *l4 = data + at;

	if (packet->fragment == FRAGMENT_LATER)
		return later_fragment(packet);
	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (l4_bytes < 20 || l4 + 20 > end)
			return DROP_MALFORMED;
		packet->tcp_flags = *(__u8 *)(l4 + 13);
		break;
	case IPPROTO_UDP:
		if (l4_bytes < 8 || l4 + 8 > end)
			return DROP_MALFORMED;
		packet->tcp_flags = 0;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (packet->v6 != (packet->protocol == IPPROTO_ICMPV6) || packet->fragment)
			return DROP_ICMP;
		return l4_bytes < 8 || l4 + 8 > end ? DROP_MALFORMED : KIND_ICMP;
	default:
		return DROP_PROTOCOL;
	}
	packet->ports = *(__be32 *)l4;
	return VERDICT_NONE;
}

/*
 * Fills `packet`. A reason to pass ends everything; else `packet` names its addresses, and what is returned is
 * VERDICT_NONE, or its kind, or the reason for which it cannot be a flow.
 */
__noinline int parse_frame(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int reason, problem = VERDICT_NONE;
	__be16 type;

	if (!packet)
		return DROP_INTERNAL;
	packet->ports = 0;
	packet->tcp_flags = 0;
	packet->fragment = FRAGMENT_NONE;
	packet->icmp_error = false;
	packet->frame_bytes = frame_length(ctx);
	type = parse_link(data, end, packet);
	if (type == bpf_htons(ETH_P_IP))
		reason = parse_ip4(data, end, packet, &problem);
	else if (type == bpf_htons(ETH_P_IPV6))
		reason = parse_ip6(ctx, packet, &problem);
	else
		reason = type ? PASS_NOT_IP : PASS_MALFORMED;
	if (reason != VERDICT_NONE)
		return reason;
	return problem != VERDICT_NONE ? problem : parse_transport(data, end, packet);
}

#endif
