/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where ports and checksums are in an IP packet. Both directions, and packets within ICMP errors, use it. */
#ifndef SPILLWAY_DECAP_PARTS_H
#define SPILLWAY_DECAP_PARTS_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "decap_tunnel.h"

#define MOST_HEADERS	 4   /* IPv6 extension headers that are walked */
#define FURTHEST	 384 /* no transport header is looked for behind this many bytes */
#define IPV6_MORE	 1
#define PORTS_BYTES	 4
#define TCP_CHECK_AT	 16
#define UDP_CHECK_AT	 6
#define FURTHEST_LINK_AT 22

/* Of ICMP and of ICMPv6 alike; linux/icmp.h would bring libc's headers. */
struct icmp_head {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest;
};

enum { ICMP_UNREACHABLE = 3, ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETER = 12 };
enum { ICMPV6_UNREACHABLE = 1, ICMPV6_PARAMETER = 4 }; /* too big and time exceeded in between */

enum { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT };

/* Offsets count from the frame's first byte. */
struct parts {
	__u32 ip_at;
	__u32 l4_at;
	__u32 end; /* behind the packet, as its header says */
	__u32 id;  /* of the datagram it is a fragment of */
	__u8 v6;
	__u8 protocol;		/* of the transport */
	__u8 fragment_protocol; /* what the fragment's header says: the same in all fragments */
	__u8 fragment;
	struct address source, destination;
};

static __always_inline int locate4(void *data, void *end, struct parts *parts)
{
	struct iphdr *ip = data + parts->ip_at;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return -1;
	parts->l4_at = parts->ip_at + ip->ihl * 4;
	parts->end = parts->ip_at + bpf_ntohs(ip->tot_len);
	parts->protocol = parts->fragment_protocol = ip->protocol;
	parts->id = ip->id;
	if (ip->frag_off & bpf_htons(IPV4_OFFSET))
		parts->fragment = LATER_FRAGMENT;
	else if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		parts->fragment = FIRST_FRAGMENT;
	address_from4(&parts->source, ip->saddr);
	address_from4(&parts->destination, ip->daddr);
	return 0;
}

/*
 * Options before the transport are walked, a bounded number of them. A routing header is not: the checksum's
 * destination is not the header's then.
 */
static __always_inline int locate6(void *data, void *end, struct parts *parts)
{
	struct ipv6hdr *ip = data + parts->ip_at;
	struct fragment_header *fragment;
	__u8 *option;
	__u32 at, i;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return -1;
	parts->protocol = ip->nexthdr;
	parts->end = parts->ip_at + sizeof(*ip) + bpf_ntohs(ip->payload_len);
	address_from6(&parts->source, &ip->saddr);
	address_from6(&parts->destination, &ip->daddr);
	at = parts->ip_at + sizeof(*ip);
	for (i = 0; i < MOST_HEADERS && parts->fragment != LATER_FRAGMENT; i++) {
		if (at > FURTHEST)
			return -1;
		option = data + at;
		if (parts->protocol == IPPROTO_FRAGMENT) {
			fragment = (void *)option;
			if ((void *)(fragment + 1) > end || parts->fragment)
				return -1;
			parts->protocol = parts->fragment_protocol = fragment->next_header;
			parts->id = fragment->identification;
			if (fragment->offset & bpf_htons(IPV6_OFFSET))
				parts->fragment = LATER_FRAGMENT;
			else if (fragment->offset & bpf_htons(IPV6_MORE))
				parts->fragment = FIRST_FRAGMENT;
			at += sizeof(*fragment);
		} else if (parts->protocol == IPPROTO_HOPOPTS || parts->protocol == IPPROTO_DSTOPTS) {
			if ((void *)(option + 8) > end)
				return -1;
			parts->protocol = option[0];
			at += (option[1] + 1) * 8;
		} else {
			break;
		}
	}
	parts->l4_at = at;
	return 0;
}

/* 0, or -1: cut off, of no version, or beyond what is looked at. `ip_at` is set, all else is 0. */
static __always_inline int locate(void *data, void *end, struct parts *parts)
{
	__u8 *first = data + parts->ip_at;

	if ((void *)(first + 1) > end)
		return -1;
	parts->v6 = *first >> 4 == 6;
	return parts->v6 ? locate6(data, end, parts) : locate4(data, end, parts);
}

/* Bytes at..at+length of the frame, if they are there and of the packet. */
static __always_inline void *held(const struct parts *packet, void *data, void *end, __u32 at, __u32 length)
{
	void *bytes = data + at;

	if (at > FURTHEST || at + length > packet->end || bytes + length > end)
		return NULL;
	return bytes;
}

static __always_inline int has_ports(const struct parts *parts)
{
	return parts->protocol == IPPROTO_TCP || parts->protocol == IPPROTO_UDP;
}

static __always_inline __u32 check_at(const struct parts *parts)
{
	return parts->l4_at + (parts->protocol == IPPROTO_TCP ? TCP_CHECK_AT : UDP_CHECK_AT);
}

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2] &&
	       a->words[3] == b->words[3];
}

static __always_inline int is_icmp_error(const struct parts *parts, __u8 type)
{
	if (parts->fragment)
		return 0;
	if (!parts->v6)
		return parts->protocol == IPPROTO_ICMP &&
		       (type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER);
	return parts->protocol == IPPROTO_ICMPV6 && type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER;
}

#endif
