/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a frame to a flow. Reads within bounds only; whatever does not add up has a reason. */
#ifndef SPILLWAY_PACKET_H
#define SPILLWAY_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

#define VERDICT_NONE  (-1) /* no reason to stop: go on */
#define MAX_VLAN_TAGS 2

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct vlan_tag {
	__be16 tci;
	__be16 encapsulated;
};

/* One packet on its way through the steps. */
struct packet {
	__u32 link_bytes; /* Ethernet header and VLAN tags: 14, 18 or 22 */
	__u32 ip_bytes;	  /* whole IP packet as its header says */
	__u32 frame_bytes;
	__be32 ports; /* source and destination as on the wire; 0 until known */
	__u8 protocol;
	__u8 tcp_flags; /* 0 for UDP */
	__u8 traffic_class;
	bool v6;
	__be32 source4, destination4;
	const struct in6_addr *source6, *destination6; /* in the packet: valid until the frame is moved */
	__u32 tick;				       /* 32 bits; what a session keeps of it is 24 */
	__u64 tag;
};

static __always_inline __u64 mac_bits(const __u8 *mac)
{
	return *(const __u32 *)mac | (__u64) * (const __u16 *)(mac + 4) << 32;
}

/* The length of a frame with fragments is known to a helper alone. */
static __always_inline __u32 frame_length(struct xdp_md *ctx)
{
	return config.frags ? bpf_xdp_get_buff_len(ctx) : (__u32)(ctx->data_end - ctx->data);
}

/* Ethernet and up to two VLAN tags. Returns the type that follows, or 0 when the frame is too short. */
static __always_inline __be16 parse_link(void *data, void *end, struct packet *packet)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = data + sizeof(*eth);
	__be16 type;

	if ((void *)(eth + 1) > end)
		return 0;
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

/* TCP and UDP alike: ports, and for TCP the flags. `l4_bytes` is what the IP header leaves for the transport. */
static __always_inline int parse_transport(void *l4, void *end, int l4_bytes, struct packet *packet)
{
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
		return DROP_ICMP;
	default:
		return DROP_PROTOCOL;
	}
	packet->ports = *(__be32 *)l4;
	return VERDICT_NONE;
}

static __always_inline int parse_ip4(struct iphdr *ip, void *end, struct packet *packet)
{
	__u32 header = ip->ihl * 4;

	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	packet->ip_bytes = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || packet->ip_bytes < header ||
	    packet->link_bytes + packet->ip_bytes > packet->frame_bytes)
		return DROP_MALFORMED;
	if (ip->frag_off & bpf_htons(0x3fff))
		return DROP_FRAGMENT;
	if (header == sizeof(*ip))
		return parse_transport(ip + 1, end, packet->ip_bytes - sizeof(*ip), packet);
	return parse_transport((void *)ip + header, end, packet->ip_bytes - header, packet);
}

static __always_inline int parse_ip6(struct ipv6hdr *ip, void *end, struct packet *packet)
{
	packet->protocol = ip->nexthdr;
	packet->traffic_class = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	packet->ip_bytes = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (ip->version != 6 || packet->link_bytes + packet->ip_bytes > packet->frame_bytes)
		return DROP_MALFORMED;
	switch (ip->nexthdr) {
	case IPPROTO_FRAGMENT:
		return DROP_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return DROP_EXTENSION;
	}
	return parse_transport(ip + 1, end, packet->ip_bytes - sizeof(*ip), packet);
}

#endif
