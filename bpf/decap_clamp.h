/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maximum segment size that a VIP's server offers, so that a client's full-size segment still fits the way from
 * the load balancer with an outer header in front. The header is that of the VIP's own packets: the SYN that is being
 * answered came in one. Never for a VIP whose packets come without a tunnel, unless a size was set.
 */
#ifndef SPILLWAY_DECAP_CLAMP_H
#define SPILLWAY_DECAP_CLAMP_H

#include "decap_ports.h"

#define TCP_BYTES	 20
#define TCP_OPTION_BYTES 40 /* at most */
#define TCP_FLAGS_AT	 13
#define TCP_SYN_ACK	 0x12
#define TCP_OFFSET_AT	 12
#define OPTION_END	 0
#define OPTION_NOP	 1
#define OPTION_MSS	 2
#define OPTION_MSS_BYTES 4
#define MOST_OPTIONS	 12 /* MSS is the first in practice; NOPs count */
#define LEAST_MSS	 88 /* less would not be a segment size but a mistake */

/* Where its TCP header begins; 0: no SYN-ACK. With IP options or extension headers no host sends one. */
static __always_inline __u32 syn_ack_at(struct __sk_buff *skb, __u32 at, struct address *source)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + at;
	struct ipv6hdr *ip6 = data + at;
	__u8 *tcp;

	if ((void *)(ip + 1) > end)
		return 0;
	if (ip->version == 4) {
		tcp = (void *)(ip + 1);
		if (ip->protocol != IPPROTO_TCP || ip->ihl != 5 || (ip->frag_off & bpf_htons(IPV4_FRAGMENT)))
			return 0;
		address_from4(source, ip->saddr);
	} else {
		tcp = (void *)(ip6 + 1);
		if ((void *)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_TCP)
			return 0;
		address_from6(source, &ip6->saddr);
	}
	if ((void *)(tcp + TCP_BYTES) > end || (tcp[TCP_FLAGS_AT] & TCP_SYN_ACK) != TCP_SYN_ACK)
		return 0;
	return (void *)tcp - data;
}

/* Bytes of segment that fit, with `headers` before them and the outer ones of that VIP; 0: no matter how many. */
static __always_inline __u32 most_bytes(struct __sk_buff *skb, const struct address *source, __u32 headers)
{
	const struct decap_vip *vip;
	__u32 mtu = 0;

	if (config.clamp == DECAP_CLAMP_FIXED)
		return config.clamp_mss;
	vip = bpf_map_lookup_elem(&decap_vips_v2, source);
	if (!vip || !vip->overhead)
		return 0;
	/* Its answer is about this packet; what is wanted is the MTU, which it gives in any case but for no device. */
	if (bpf_check_mtu(skb, config.ifindex, &mtu, 0, 0) < 0)
		return 0;
	return mtu < vip->overhead + headers + LEAST_MSS ? 0 : mtu - vip->overhead - headers;
}

/* Where the option's value is among the `length` bytes at `at`; 0: there is none. A function, verified once. */
__noinline int find_mss(struct __sk_buff *skb, __u32 at, __u32 length)
{
	__u8 options[TCP_OPTION_BYTES] = {};
	__u32 next = 0, i;

	if (length < OPTION_MSS_BYTES || length > TCP_OPTION_BYTES || bpf_skb_load_bytes(skb, at, options, length))
		return 0;
	for (i = 0; i < MOST_OPTIONS; i++) {
		if (next + OPTION_MSS_BYTES > length || next > TCP_OPTION_BYTES - OPTION_MSS_BYTES)
			return 0;
		if (options[next] == OPTION_END)
			return 0;
		if (options[next] == OPTION_NOP) {
			next++;
			continue;
		}
		if (options[next] == OPTION_MSS && options[next + 1] == OPTION_MSS_BYTES)
			return at + next + 2;
		if (options[next + 1] < 2)
			return 0;
		next += options[next + 1];
	}
	return 0;
}

/* `tcp_at`: of a SYN-ACK from that VIP. */
static __always_inline void clamp_mss(struct __sk_buff *skb, __u32 ip_at, __u32 tcp_at, const struct address *source)
{
	__u32 most = most_bytes(skb, source, tcp_at - ip_at + TCP_BYTES), sum, length, at;
	__be16 before, after;
	__u8 offset;

	if (!most || bpf_skb_load_bytes(skb, tcp_at + TCP_OFFSET_AT, &offset, sizeof(offset)))
		return;
	length = (offset >> 4) * 4 - TCP_BYTES;
	at = find_mss(skb, tcp_at + TCP_BYTES, length);
	if (!at || bpf_skb_load_bytes(skb, at, &before, sizeof(before)) || bpf_ntohs(before) <= most)
		return;
	after = bpf_htons(most);
	/* Behind an odd number of single-byte options the value lies across two words of the sum. */
	sum = (at - tcp_at) % 2 ? (__u16)~bpf_ntohs(before) + (__u32)most : (__u16)~before + (__u32)after;
	if (bpf_l4_csum_replace(skb, tcp_at + TCP_CHECK_AT, 0, sum, 0) ||
	    bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0))
		return;
	count_event(DECAP_EVENT_MSS_CLAMPED);
}

#endif
