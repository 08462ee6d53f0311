// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A network that loses what the nodes say to each other: tc filters for the switch's ports. loss1, loss10 and loss50
 * drop a share of the datagrams of session sync by chance, cut drops them all and the connections of the transfer, too.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SYNC_PORT 3490

/* 0: not of session sync; else IPPROTO_UDP or IPPROTO_TCP. No fragments, options or extension headers are expected. */
static __always_inline int sync_protocol(struct __sk_buff *skb)
{
	int at = sizeof(struct ethhdr);
	__u8 protocol = 0, version = 0;
	__be16 ports[2] = {};

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		bpf_skb_load_bytes(skb, at, &version, 1);
		bpf_skb_load_bytes(skb, at + offsetof(struct iphdr, protocol), &protocol, 1);
		at += (version & 15) * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		bpf_skb_load_bytes(skb, at + offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
		at += sizeof(struct ipv6hdr);
	}
	if (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP)
		return 0;
	bpf_skb_load_bytes(skb, at, ports, sizeof(ports));
	return ports[0] == bpf_htons(SYNC_PORT) || ports[1] == bpf_htons(SYNC_PORT) ? protocol : 0;
}

static __always_inline int lose(struct __sk_buff *skb, __u32 percent)
{
	if (sync_protocol(skb) == IPPROTO_UDP && bpf_get_prandom_u32() % 100 < percent)
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("loss1")
int lose_hundredth(struct __sk_buff *skb)
{
	return lose(skb, 1);
}

SEC("loss10")
int lose_tenth(struct __sk_buff *skb)
{
	return lose(skb, 10);
}

SEC("loss50")
int lose_half(struct __sk_buff *skb)
{
	return lose(skb, 50);
}

SEC("cut")
int lose_all(struct __sk_buff *skb)
{
	return sync_protocol(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
