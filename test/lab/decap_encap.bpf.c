// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A load balancer's way out for the tests of the decapsulator: what goes to one of three VIPs is encapsulated. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VIP_4IN4 bpf_htonl(0xc6336404) /* 198.51.100.4 */
#define VIP_4IN6 bpf_htonl(0xc6336406) /* 198.51.100.6 */
#define LB4	 bpf_htonl(0x0a420001) /* 10.66.0.1 */
#define BACKEND4 bpf_htonl(0x0a420002) /* 10.66.0.2 */
#define NETWORK6 0xfd66		       /* fd66::1 to fd66::2 */

static __always_inline int grow(struct __sk_buff *skb, __u32 bytes, __u64 family)
{
	return bpf_skb_adjust_room(skb, bytes, BPF_ADJ_ROOM_MAC, family | BPF_F_ADJ_ROOM_FIXED_GSO);
}

static __always_inline int encapsulate4(struct __sk_buff *skb, __u8 tos)
{
	struct iphdr outer = {
		.version = 4,
		.ihl = 5,
		.tos = tos,
		.tot_len = bpf_htons(skb->len - ETH_HLEN + sizeof(outer)),
		.frag_off = bpf_htons(0x4000),
		.ttl = 64,
		.protocol = IPPROTO_IPIP,
		.saddr = LB4,
		.daddr = BACKEND4,
	};
	__u32 sum = 0, i;

#pragma unroll
	for (i = 0; i < sizeof(outer) / 2; i++)
		sum += ((__u16 *)&outer)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	outer.check = ~((sum & 0xffff) + (sum >> 16));
	if (grow(skb, sizeof(outer), BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
		return TC_ACT_SHOT;
	return bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

static __always_inline int encapsulate6(struct __sk_buff *skb, __u8 inner, __u8 traffic_class)
{
	__be16 type = bpf_htons(ETH_P_IPV6);
	struct ipv6hdr outer = {
		.version = 6,
		.priority = traffic_class >> 4,
		.flow_lbl = {traffic_class << 4},
		.payload_len = bpf_htons(skb->len - ETH_HLEN),
		.nexthdr = inner,
		.hop_limit = 64,
	};

	outer.saddr.s6_addr16[0] = outer.daddr.s6_addr16[0] = bpf_htons(NETWORK6);
	outer.saddr.s6_addr[15] = 1;
	outer.daddr.s6_addr[15] = 2;
	if (grow(skb, sizeof(outer), BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), 0))
		return TC_ACT_SHOT;
	return bpf_skb_store_bytes(skb, ETH_HLEN - 2, &type, 2, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int encap(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + ETH_HLEN;
	struct ipv6hdr *ip6 = data + ETH_HLEN;

	if (data + ETH_HLEN + sizeof(*ip) > end)
		return TC_ACT_OK;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP) && ip->daddr == VIP_4IN4)
		return encapsulate4(skb, ip->tos);
	if (ethernet->h_proto == bpf_htons(ETH_P_IP) && ip->daddr == VIP_4IN6)
		return encapsulate6(skb, IPPROTO_IPIP, ip->tos);
	if (ethernet->h_proto != bpf_htons(ETH_P_IPV6) || data + ETH_HLEN + sizeof(*ip6) > end)
		return TC_ACT_OK;
	/* 2001:db8::6 */
	if (ip6->daddr.s6_addr32[0] == bpf_htonl(0x20010db8) && ip6->daddr.s6_addr32[3] == bpf_htonl(6))
		return encapsulate6(skb, IPPROTO_IPV6, 0);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual BSD/GPL";
