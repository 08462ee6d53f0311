/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is known of a packet, and the little that the short and the long way read alike. */
#ifndef SPILLWAY_PACKET_H
#define SPILLWAY_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

/* What is no reason: those below zero. */
#define VERDICT_NONE  (-1) /* no reason to stop: go on */
#define KIND_ICMP     (-2) /* to a VIP, no flow: icmp.h */
#define KIND_LATER    (-3) /* a fragment without a transport header: fragment.h */
#define MAX_VLAN_TAGS 2

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum fragment { FRAGMENT_NONE = 0, FRAGMENT_FIRST = 1, FRAGMENT_LATER = 2 };

struct vlan_tag {
	__be16 tci;
	__be16 encapsulated;
};

/* One packet on its way through the steps. The short way keeps it in registers, and fills no more than it needs. */
struct packet {
	__u32 link_bytes; /* Ethernet header and VLAN tags: 14, 18 or 22 */
	__u32 ip_bytes;	  /* whole IP packet as its header says */
	__u32 frame_bytes;
	__u32 l4_at;  /* where the transport header begins, from the frame's start */
	__be32 ports; /* source and destination as on the wire; 0 until known */
	__u32 tick;   /* 32 bits; what a session keeps of it is 24 */
	__u64 tag;
	__u64 mac; /* destination */
	__u8 protocol;
	__u8 tcp_flags; /* 0 for UDP */
	__u8 traffic_class;
	bool v6;
	/* From here on the long way's alone. */
	__u8 fragment;	    /* enum fragment */
	bool dont_fragment; /* IPv4: DF; IPv6: always */
	bool icmp_error;    /* source, ports and protocol are of the flow that it speaks of */
	__u8 pad;
	struct address source, destination; /* IPv4-mapped */
	__be32 fragment_id;
	__u32 pad2;
};

/* Of a frame, what can be read in place. */
static __always_inline __u32 linear_length(const struct xdp_md *ctx)
{
	__u32 bytes = ctx->data_end - ctx->data;

	/* Else clang takes other sums into this one, in the midst of its pointers. */
	asm volatile("" : "+r"(bytes));
	return bytes;
}

static __always_inline __u64 mac_bits(const __u8 *mac)
{
	return *(const __u32 *)mac | (__u64) * (const __u16 *)(mac + 4) << 32;
}

static __always_inline bool is_own_mac(__u64 mac, const struct settings *settings)
{
	for (int i = 0; i < MAX_MACS; i++)
		if (mac == settings->macs[i])
			return true;
	return false;
}

static __always_inline __u8 traffic_class6(const struct ipv6hdr *ip)
{
	return ip->priority << 4 | ip->flow_lbl[0] >> 4;
}

static __always_inline void map_address4(struct address *to, __be32 address)
{
	to->words[0] = 0;
	to->words[1] = 0;
	to->words[2] = bpf_htonl(0xffff);
	to->words[3] = address;
}

/* In an IPv6 header such an address is nobody's, though IPv4 VIPs are kept like that. */
static __always_inline bool is_mapped4(const __be32 *words)
{
	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* Might this address be a VIP? The same function is in src/compile/vip-filter.ts. */
static __always_inline bool may_be_vip(__u32 w0, __u32 w1, __u32 w2, __u32 w3)
{
	__u32 zero = 0, bit = (w0 * 0x9e3779b1u + w1 * 0x85ebca77u + w2 * 0xc2b2ae3du + w3 * 0x27d4eb2fu) >> 16;
	struct vip_filter *filter = bpf_map_lookup_elem(&vip_filter_v2, &zero);

	return filter && filter->words[bit / 64] >> (bit % 64) & 1;
}

static __always_inline bool may_be_vip4(__be32 address)
{
	return may_be_vip(0, 0, bpf_htonl(0xffff), address);
}

static __always_inline bool may_be_vip6(const __be32 *words)
{
	return may_be_vip(words[0], words[1], words[2], words[3]);
}

#endif
