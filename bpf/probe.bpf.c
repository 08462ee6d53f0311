// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Sends the agent's health checks of a VIP to one chosen backend, by the forwarding that traffic takes: what a check
 * meets on its way (next hop, tunnel, the backend's decapsulator, the VIP on its loopback) is what a client meets.
 * Replies come straight from the backend to this host's own address.
 *
 * clsact egress, direct action. A socket chooses its backend by SO_MARK; every other packet leaves by the first line.
 * A marked packet that cannot go to its backend is dropped: if it went on by the route, another backend would answer
 * in this one's name. The check then fails by its timeout.
 */
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>

#define ONLY_BACKENDS
#include "maps.h"

#define OUTER_TTL	64
#define FLOW_LABEL_MASK 0xfffff

/* Not TC_ACT_SHOT: the sender of a datagram would see ENOBUFS, and take it for a shortage of this host. */
#define DROP TC_ACT_STOLEN

static __always_inline int has_next_hop(const struct backend *backend)
{
	const __u8 *mac = backend->next_hop;

	return mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5];
}

static __always_inline __u16 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* TOS or traffic class of the packet, which the outer header repeats. */
static __always_inline __u8 traffic_class(struct __sk_buff *skb)
{
	__u8 start[2] = {};

	bpf_skb_load_bytes(skb, ETH_HLEN, start, sizeof(start));
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return start[1];
	return start[0] << 4 | start[1] >> 4;
}

static __always_inline int forward_l2(struct __sk_buff *skb, const struct backend *backend)
{
	return bpf_skb_store_bytes(skb, 0, backend->next_hop, ETH_ALEN, 0);
}

/* The kernel keeps offsets of checksums and segments right across adjust_room; the Ethernet type is ours to mend. */
static __always_inline int push_outer(struct __sk_buff *skb, const struct backend *backend, const void *outer,
				      __u32 ip_bytes, bool udp)
{
	bool v4 = ip_bytes == sizeof(struct iphdr);
	__u64 layer = v4 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	__be16 type = v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	__u32 room = ip_bytes + (udp ? sizeof(struct udphdr) : 0), inner = skb->len - ETH_HLEN;
	struct udphdr header = {
		.source = bpf_htons(0xc000 | (bpf_get_hash_recalc(skb) & 0x3fff)),
		.dest = backend->tunnel_port,
		.len = bpf_htons(inner + sizeof(header)),
	};

	if (udp)
		layer |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	if (bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, layer) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN, outer, ip_bytes, 0) ||
	    (udp && bpf_skb_store_bytes(skb, ETH_HLEN + ip_bytes, &header, sizeof(header), 0)) ||
	    bpf_skb_store_bytes(skb, ETH_HLEN - sizeof(type), &type, sizeof(type), 0))
		return -1;
	return forward_l2(skb, backend);
}

static __always_inline int forward_in4(struct __sk_buff *skb, const struct backend *backend, bool udp)
{
	__u32 bytes = sizeof(struct iphdr) + (udp ? sizeof(struct udphdr) : 0);
	__be16 total = bpf_htons(skb->len - ETH_HLEN + bytes);
	__u8 class = traffic_class(skb), v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	/* backend->outer_sum is that of an IPv4 packet within. */
	__u32 other = v6 && !udp ? bpf_htons(IPPROTO_IPV6 - IPPROTO_IPIP) : 0;
	struct iphdr outer = {
		.version = 4,
		.ihl = 5,
		.tos = class,
		.tot_len = total,
		.frag_off = bpf_htons(0x4000),
		.ttl = OUTER_TTL,
		.protocol = udp	 ? IPPROTO_UDP
			    : v6 ? IPPROTO_IPV6
				 : IPPROTO_IPIP,
		.check = fold_sum(backend->outer_sum + other + total + bpf_htons(class)),
		.saddr = backend->source.words[3],
		.daddr = backend->address.words[3],
	};

	return push_outer(skb, backend, &outer, sizeof(outer), udp);
}

static __always_inline int forward_in6(struct __sk_buff *skb, const struct backend *backend, bool udp)
{
	__u32 label = bpf_get_hash_recalc(skb) & FLOW_LABEL_MASK, more = udp ? sizeof(struct udphdr) : 0;
	__u8 inner = skb->protocol == bpf_htons(ETH_P_IP) ? IPPROTO_IPIP : IPPROTO_IPV6;
	struct ipv6hdr outer = {
		.payload_len = bpf_htons(skb->len - ETH_HLEN + more),
		.nexthdr = udp ? IPPROTO_UDP : inner,
		.hop_limit = OUTER_TTL,
	};

	*(__be32 *)&outer = bpf_htonl(6u << 28 | (__u32)traffic_class(skb) << 20 | label);
	__builtin_memcpy(&outer.saddr, backend->source.bytes, sizeof(outer.saddr));
	__builtin_memcpy(&outer.daddr, backend->address.bytes, sizeof(outer.daddr));
	return push_outer(skb, backend, &outer, sizeof(outer), udp);
}

static __always_inline bool has_tag(const struct __sk_buff *skb)
{
	return skb->vlan_present || skb->protocol == bpf_htons(ETH_P_8021Q) || skb->protocol == bpf_htons(ETH_P_8021AD);
}

/* As traffic to this backend leaves: see egress.h. */
static __always_inline int leave_by(struct __sk_buff *skb, const struct egress *egress)
{
	__u32 chosen;

	if (bpf_skb_store_bytes(skb, ETH_ALEN, egress->mac, ETH_ALEN, 0) ||
	    (egress->vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), egress->vlan)))
		return DROP;
	for (int i = 0; i < EGRESS_PORTS && egress->ports[i]; i++)
		if (egress->ports[i] == skb->ifindex)
			return TC_ACT_OK;
	chosen = (__u64)bpf_get_hash_recalc(skb) * egress->port_count >> 32;
	asm volatile("" : "+r"(chosen));
	/* The other interface has this program, too: it is to leave what is ready as it is. */
	skb->mark = 0;
	return bpf_redirect(egress->ports[chosen & (EGRESS_PORTS - 1)], 0);
}

SEC("tc")
int probe(struct __sk_buff *skb)
{
	const struct backend *backend;
	const struct egress *egress = NULL;
	int failure = -1;
	__u32 id, way;

	if ((skb->mark & PROBE_MARK_MASK) != PROBE_MARK)
		return TC_ACT_OK;
	id = skb->mark & ~PROBE_MARK_MASK;
	backend = bpf_map_lookup_elem(&backends_v2, &id);
	if (!backend || !(backend->flags & BACKEND_IN_USE) || !has_next_hop(backend))
		return DROP;
	if (backend->flags & BACKEND_STEERED) {
		way = backend->egress;
		egress = bpf_map_lookup_elem(&egresses_v2, &way);
		if (!egress || !(egress->flags & EGRESS_IN_USE))
			return DROP;
		/* Tags of VLANs that the route to the VIP leads through: the backend's may be another. */
		for (int i = 0; i < 2 && has_tag(skb); i++)
			if (bpf_skb_vlan_pop(skb))
				return DROP;
		if (has_tag(skb))
			return DROP;
	}
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return DROP;
	switch (backend->forwarding) {
	case FORWARD_L2_DSR:
		failure = forward_l2(skb, backend);
		break;
	case FORWARD_IPIP4:
		failure = forward_in4(skb, backend, false);
		break;
	case FORWARD_IPIP6:
		failure = forward_in6(skb, backend, false);
		break;
	case FORWARD_GUE4:
		failure = forward_in4(skb, backend, true);
		break;
	case FORWARD_GUE6:
		failure = forward_in6(skb, backend, true);
		break;
	}
	if (failure)
		return DROP;
	return egress ? leave_by(skb, egress) : TC_ACT_OK;
}

/* Dual BSD/GPL to the kernel; the source is offered under either licence of the first line. */
char _license[] SEC("license") = "Dual BSD/GPL";
