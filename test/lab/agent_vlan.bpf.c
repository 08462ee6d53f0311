// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A VLAN for the lab, whose kernel may have none: `push` on the router's way out tags what goes to one VIP, `pop` on a
 * backend's way in takes the tag off again, and lets nothing to that VIP in that has none.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VIP	bpf_htonl(0xc000020f) /* 192.0.2.15 */
#define VLAN_ID 5

static __always_inline bool goes_to_vip(struct __sk_buff *skb)
{
	struct iphdr ip;

	return !bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)) && ip.version == 4 && ip.daddr == VIP;
}

SEC("push")
int push_tag(struct __sk_buff *skb)
{
	if (goes_to_vip(skb) && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), VLAN_ID))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("pop")
int pop_tag(struct __sk_buff *skb)
{
	if (!goes_to_vip(skb))
		return TC_ACT_OK;
	if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != VLAN_ID)
		return TC_ACT_SHOT;
	return bpf_skb_vlan_pop(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
