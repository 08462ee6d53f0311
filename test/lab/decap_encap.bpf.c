// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A load balancer's way out for the tests of backends: what goes to a VIP is put into the outer header that the VIP's
 * last byte names, whatever its family.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VIPS4	 bpf_htonl(0xc6336400) /* 198.51.100.0/24 */
#define VIPS6	 bpf_htonl(0x20010db8) /* 2001:db8::/120 */
#define LB4	 bpf_htonl(0x0a420001) /* 10.66.0.1 */
#define BACKEND4 bpf_htonl(0x0a420002) /* 10.66.0.2 */
#define NETWORK6 0xfd66		       /* fd66::1 to fd66::2 */

/* Any other last byte: straight, as by L2_DSR. */
enum { IN4 = 4, IN6 = 6, GUE4 = 24, GUE6 = 26 };

static __always_inline void fill4(struct iphdr *ip, __u32 bytes, __u8 protocol, __u8 class)
{
	__u32 sum = 0, i;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = class,
		.tot_len = bpf_htons(bytes + sizeof(*ip)),
		.frag_off = bpf_htons(0x4000),
		.ttl = 64,
		.protocol = protocol,
		.saddr = LB4,
		.daddr = BACKEND4,
	};
#pragma unroll
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += ((__u16 *)ip)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void fill6(struct ipv6hdr *ip, __u32 bytes, __u8 protocol, __u8 class)
{
	*ip = (struct ipv6hdr){
		.version = 6,
		.priority = class >> 4,
		.flow_lbl = {class << 4},
		.payload_len = bpf_htons(bytes),
		.nexthdr = protocol,
		.hop_limit = 64,
	};
	ip->saddr.s6_addr16[0] = ip->daddr.s6_addr16[0] = bpf_htons(NETWORK6);
	ip->saddr.s6_addr[15] = 1;
	ip->daddr.s6_addr[15] = 2;
}

/* `inner`: IPPROTO_IPIP or IPPROTO_IPV6. */
static __always_inline int encapsulate(struct __sk_buff *skb, __u8 mode, __u8 inner, __u8 class)
{
	__u32 outer4 = mode == IN4 || mode == GUE4, gue = mode == GUE4 || mode == GUE6;
	__u32 ip_bytes = outer4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr), bytes = skb->len - ETH_HLEN;
	__be16 type = outer4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	__u64 flags = outer4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	struct udphdr udp = {
		.source = bpf_htons(0xc000 | (bpf_get_hash_recalc(skb) & 0x3fff)),
		.dest = bpf_htons(6080),
		.len = bpf_htons(bytes + sizeof(udp)),
	};
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (gue) {
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
		bytes += sizeof(udp);
		inner = IPPROTO_UDP;
	}
	if (bpf_skb_adjust_room(skb, ip_bytes + (gue ? sizeof(udp) : 0), BPF_ADJ_ROOM_MAC,
				flags | BPF_F_ADJ_ROOM_FIXED_GSO))
		return TC_ACT_SHOT;
	if (outer4) {
		fill4(&ip, bytes, inner, class);
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), 0))
			return TC_ACT_SHOT;
	} else {
		fill6(&ip6, bytes, inner, class);
		if (bpf_skb_store_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6), 0))
			return TC_ACT_SHOT;
	}
	if (gue && bpf_skb_store_bytes(skb, ETH_HLEN + ip_bytes, &udp, sizeof(udp), 0))
		return TC_ACT_SHOT;
	return bpf_skb_store_bytes(skb, ETH_HLEN - 2, &type, 2, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

static __always_inline int is_mode(__u8 mode)
{
	return mode == IN4 || mode == IN6 || mode == GUE4 || mode == GUE6;
}

SEC("tc")
int encap(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + ETH_HLEN;
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	__u8 mode;

	if ((void *)(ip + 1) > end)
		return TC_ACT_OK;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		mode = bpf_ntohl(ip->daddr) & 0xff;
		if ((ip->daddr & bpf_htonl(0xffffff00)) != VIPS4 || !is_mode(mode))
			return TC_ACT_OK;
		return encapsulate(skb, mode, IPPROTO_IPIP, ip->tos);
	}
	if (ethernet->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > end)
		return TC_ACT_OK;
	mode = ip6->daddr.s6_addr[15];
	if (ip6->daddr.s6_addr32[0] != VIPS6 || ip6->daddr.s6_addr32[1] || ip6->daddr.s6_addr32[2] || !is_mode(mode))
		return TC_ACT_OK;
	return encapsulate(skb, mode, IPPROTO_IPV6, ip6->priority << 4 | ip6->flow_lbl[0] >> 4);
}

char _license[] SEC("license") = "Dual BSD/GPL";
