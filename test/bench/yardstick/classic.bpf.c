// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The yardstick: an XDP load balancer of the classic design, as the well-known
 * ones are built. VIP in a hash map, connection in a per-CPU LRU hash with the
 * whole 5-tuple as its key, Maglev ring in an array, real servers in an array,
 * per-CPU statistics at each step, IPIP (IP6IP6) encapsulation, XDP_TX.
 * It exists to be measured beside a program under test in the same run; it is
 * no load balancer to use (no ICMP, fragments, QUIC, limits).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "classic.h"

#define MAP(name, kind, size, k, v)                                                                                    \
	struct {                                                                                                       \
		__uint(type, kind);                                                                                    \
		__uint(max_entries, size);                                                                             \
		__type(key, k);                                                                                        \
		__type(value, v);                                                                                      \
	} name SEC(".maps")

MAP(vips, BPF_MAP_TYPE_HASH, 512, struct classic_vip_key, struct classic_vip);
MAP(ring, BPF_MAP_TYPE_ARRAY, CLASSIC_VIPS *CLASSIC_RING, __u32, __u32);
MAP(reals, BPF_MAP_TYPE_ARRAY, 4096, __u32, struct classic_real);
MAP(gateway, BPF_MAP_TYPE_ARRAY, 1, __u32, struct classic_mac);
MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, 1024, __u32, struct classic_count);
MAP(real_stats, BPF_MAP_TYPE_PERCPU_ARRAY, 4096, __u32, struct classic_count);

struct lru {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CLASSIC_SESSIONS);
	__uint(key_size, sizeof(struct classic_flow));
	__uint(value_size, sizeof(struct classic_session));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CLASSIC_CPUS);
	__type(key, __u32);
	__array(values, struct lru);
} lru_of_cpu SEC(".maps");

enum { STAT_TOTAL = 512, STAT_SESSIONS, STAT_PASS, STAT_TX, STAT_DROP };

static __always_inline void count(void *map, __u32 key, __u64 bytes)
{
	struct classic_count *c = bpf_map_lookup_elem(map, &key);

	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline __u32 rol(__u32 w, int n)
{
	return w << n | w >> (32 - n);
}

static __always_inline __u32 hash_flow(const struct classic_flow *f)
{
	__u32 a = 0xdeadbef7, b = a + f->src[2], c = a + f->src[3];

	a += f->src[0] + f->src[1];
	a -= c, a ^= rol(c, 4), c += b;
	b -= a, b ^= rol(a, 6), a += c;
	c -= b, c ^= rol(b, 8), b += a;
	a += f->ports;
	c ^= b, c -= rol(b, 14);
	a ^= c, a -= rol(c, 11);
	b ^= a, b -= rol(a, 25);
	c ^= b, c -= rol(b, 16);
	return c;
}

static __always_inline int encap4(struct xdp_md *ctx, const struct classic_real *r, const struct classic_mac *gw,
				  __u32 salt, __u32 len)
{
	struct ethhdr *eth, *old;
	struct iphdr *ip;
	__u32 sum = 0, i;
	void *end;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = (void *)(eth + 1);
	old = (void *)eth + sizeof(*ip);
	if ((void *)(ip + 1) > end || (void *)(old + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, gw->addr, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_IPIP;
	ip->tot_len = bpf_htons(len + sizeof(*ip));
	ip->saddr = bpf_htonl(0xac100000) | (salt & 0xffff0000);
	ip->daddr = r->addr[0];
#pragma unroll
	for (i = 0; i < 10; i++)
		sum += ((__u16 *)ip)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
	return XDP_TX;
}

static __always_inline int encap6(struct xdp_md *ctx, const struct classic_real *r, const struct classic_mac *gw,
				  __u32 salt, __u32 len)
{
	struct ethhdr *eth, *old;
	struct ipv6hdr *ip;
	void *end;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = (void *)(eth + 1);
	old = (void *)eth + sizeof(*ip);
	if ((void *)(ip + 1) > end || (void *)(old + 1) > end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, gw->addr, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IPV6);
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = IPPROTO_IPV6;
	ip->hop_limit = 64;
	ip->saddr.in6_u.u6_addr32[0] = bpf_htonl(0x01000000);
	ip->saddr.in6_u.u6_addr32[3] = salt;
	__builtin_memcpy(&ip->daddr, r->addr, 16);
	return XDP_TX;
}

static __always_inline int forward(struct xdp_md *ctx, bool v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct classic_session *session = NULL;
	struct classic_vip_key vk = {};
	struct classic_flow flow = {};
	struct classic_real *real;
	struct classic_mac *gw;
	struct classic_vip *vip;
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0, pos, len, *slot;
	bool syn = false;
	void *l4, *lru;

	if (v6) {
		struct ipv6hdr *ip = data + sizeof(struct ethhdr);

		if ((void *)(ip + 1) > end)
			return XDP_DROP;
		flow.proto = ip->nexthdr;
		__builtin_memcpy(flow.src, &ip->saddr, 16);
		__builtin_memcpy(flow.dst, &ip->daddr, 16);
		len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
		l4 = ip + 1;
	} else {
		struct iphdr *ip = data + sizeof(struct ethhdr);

		if ((void *)(ip + 1) > end || ip->ihl != 5)
			return XDP_DROP;
		if (ip->frag_off & bpf_htons(0x3fff))
			return XDP_DROP;
		flow.proto = ip->protocol;
		flow.src[0] = ip->saddr;
		flow.dst[0] = ip->daddr;
		len = bpf_ntohs(ip->tot_len);
		l4 = ip + 1;
	}
	if (flow.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		if ((void *)(tcp + 1) > end)
			return XDP_DROP;
		syn = tcp->syn;
	} else if (flow.proto != IPPROTO_UDP || l4 + 8 > end) {
		return XDP_PASS;
	}
	flow.ports = *(__u32 *)l4;

	__builtin_memcpy(vk.addr, flow.dst, 16);
	vk.port = ((__u16 *)l4)[1];
	vk.proto = flow.proto;
	vip = bpf_map_lookup_elem(&vips, &vk);
	if (!vip)
		return XDP_PASS;
	count(&stats, STAT_SESSIONS, len);

	lru = bpf_map_lookup_elem(&lru_of_cpu, &cpu);
	if (!lru)
		return XDP_DROP;
	if (!syn)
		session = bpf_map_lookup_elem(lru, &flow);
	if (session) {
		pos = session->real;
		if (flow.proto == IPPROTO_UDP)
			session->seen_ns = bpf_ktime_get_ns();
	} else {
		struct classic_session fresh = {};

		pos = vip->num * CLASSIC_RING + hash_flow(&flow) % CLASSIC_RING;
		slot = bpf_map_lookup_elem(&ring, &pos);
		if (!slot)
			return XDP_DROP;
		pos = fresh.real = *slot;
		fresh.seen_ns = bpf_ktime_get_ns();
		bpf_map_update_elem(lru, &flow, &fresh, BPF_ANY);
	}
	real = bpf_map_lookup_elem(&reals, &pos);
	gw = bpf_map_lookup_elem(&gateway, &zero);
	if (!real || !gw)
		return XDP_DROP;
	count(&stats, vip->num, len);
	count(&real_stats, pos, len);
	return v6 ? encap6(ctx, real, gw, flow.src[3] ^ flow.ports, len)
		  : encap4(ctx, real, gw, flow.src[0] ^ flow.ports << 16, len);
}

SEC("xdp")
int classic(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 bytes = end - (void *)eth;
	int verdict = XDP_PASS;

	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	count(&stats, STAT_TOTAL, bytes);
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		verdict = forward(ctx, false);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		verdict = forward(ctx, true);
	count(&stats, verdict == XDP_TX ? STAT_TX : verdict == XDP_PASS ? STAT_PASS : STAT_DROP, bytes);
	return verdict;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
