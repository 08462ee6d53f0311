// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Backend side of IPIP forwarding: strips the outer header and lets the kernel receive the client's packet as if it
 * had come straight from the router. Kernels without an ipip device need nothing else; a kernel with one does not see
 * the tunnel any more.
 *
 * What is not ours passes untouched; a frame is dropped only once it is known to be a tunnel for this host and cannot
 * be delivered. Lists and switches never change under a running program: `spillway backend attach` loads a new
 * program with new maps and exchanges it through the link in one step. Only the counters are carried over.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi_decap.h"

#define IPV4_FRAGMENT 0x3fff /* MF and offset; DF is fine */
#define ECN_MASK      3
#define ECN_NOT_ECT   0
#define ECN_ECT1      1
#define ECN_ECT0      2
#define ECN_CE	      3

/* The step found nothing that ends the packet's way. */
#define CONTINUE (-1)

const volatile struct decap_config config;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decap_counters);
} decap_count_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DECAP_MAX_SOURCES);
	__type(key, struct decap_source);
	__type(value, __u32);
} decap_from_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DECAP_MAX_VIPS);
	__type(key, struct address);
	__type(value, __u32);
} decap_vips_v1 SEC(".maps");

struct vlan_tag {
	__be16 control;
	__be16 type;
};

/* Everything known of a frame so far. Offsets count from the frame's first byte. */
struct tunnel {
	struct ethhdr ethernet; /* h_proto is the type before any tag */
	struct vlan_tag tags[2];
	__u32 tag_count;
	__u32 outer_at;	   /* 14, 18 or 22 */
	__u32 outer_bytes; /* 20 or 40 */
	__u32 payload;	   /* bytes behind the outer header, as it says */
	__be16 type;	   /* of the outer header */
	__u8 inner;	   /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 ecn;
	__u8 options;
	__u8 fragment;
	__u8 lies; /* the outer length does not fit the frame */
	__u8 damaged;
	struct address source;
};

static __always_inline __u32 frame_bytes(struct xdp_md *ctx)
{
	if (config.frags)
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

/* Every parser: reads only what it has checked against data_end, and returns CONTINUE or a reason. */

static __always_inline int parse_ethernet(struct xdp_md *ctx, struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct vlan_tag *tag = (void *)(ethernet + 1);
	__u32 i;

	if ((void *)(ethernet + 1) > end)
		return DECAP_PASS_NOT_TUNNEL;
	tunnel->ethernet = *ethernet;
	tunnel->type = ethernet->h_proto;
	tunnel->outer_at = sizeof(*ethernet);
#pragma unroll
	for (i = 0; i < 2; i++) {
		if (tunnel->type != bpf_htons(ETH_P_8021Q) && tunnel->type != bpf_htons(ETH_P_8021AD))
			return CONTINUE;
		if ((void *)(tag + 1) > end)
			return DECAP_PASS_NOT_TUNNEL;
		tunnel->tags[i] = *tag;
		tunnel->tag_count = i + 1;
		tunnel->type = tag->type;
		tunnel->outer_at += sizeof(*tag);
		tag++;
	}
	return CONTINUE;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline int parse_outer4(struct xdp_md *ctx, struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + tunnel->outer_at;
	__u32 total, sum = 0, i;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->protocol != IPPROTO_IPIP)
		return DECAP_PASS_NOT_TUNNEL;
#pragma unroll
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += ((__u16 *)ip)[i];
	total = bpf_ntohs(ip->tot_len);
	tunnel->outer_bytes = sizeof(*ip);
	tunnel->payload = total - sizeof(*ip);
	tunnel->inner = ip->protocol;
	tunnel->ecn = ip->tos & ECN_MASK;
	tunnel->options = ip->ihl > 5;
	tunnel->fragment = (ip->frag_off & bpf_htons(IPV4_FRAGMENT)) != 0;
	tunnel->lies = ip->ihl < 5 || total < sizeof(*ip) || total > frame_bytes(ctx) - tunnel->outer_at;
	tunnel->damaged = fold(sum) != 0xffff;
	tunnel->source.words[2] = bpf_htonl(0xffff);
	tunnel->source.words[3] = ip->saddr;
	return CONTINUE;
}

struct fragment_header {
	__u8 next_header;
	__u8 reserved;
	__be16 offset;
	__be32 identification;
};

static __always_inline int parse_outer6(struct xdp_md *ctx, struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + tunnel->outer_at;
	struct fragment_header *fragment = (void *)(ip + 1);

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_PASS_NOT_TUNNEL;
	tunnel->inner = ip->nexthdr;
	if (ip->nexthdr == IPPROTO_FRAGMENT) {
		if ((void *)(fragment + 1) > end)
			return DECAP_PASS_NOT_TUNNEL;
		tunnel->inner = fragment->next_header;
		tunnel->fragment = 1;
	}
	if (tunnel->inner != IPPROTO_IPV6 && tunnel->inner != IPPROTO_IPIP)
		return DECAP_PASS_NOT_TUNNEL;
	tunnel->outer_bytes = sizeof(*ip);
	tunnel->payload = bpf_ntohs(ip->payload_len);
	tunnel->ecn = (ip->flow_lbl[0] >> 4) & ECN_MASK;
	tunnel->lies = tunnel->payload > frame_bytes(ctx) - tunnel->outer_at - sizeof(*ip);
	__builtin_memcpy(&tunnel->source, &ip->saddr, sizeof(tunnel->source));
	return CONTINUE;
}

static __always_inline int own_mac(const struct ethhdr *ethernet)
{
	__u64 mac = 0;
	int i;

	__builtin_memcpy(&mac, ethernet->h_dest, ETH_ALEN);
#pragma unroll
	for (i = 0; i < DECAP_MAX_MACS; i++)
		if (config.macs[i] && config.macs[i] == mac)
			return 1;
	return 0;
}

static __always_inline int admit(const struct tunnel *tunnel)
{
	struct decap_source key = {.prefix_bits = 128, .address = tunnel->source};

	if (!own_mac(&tunnel->ethernet))
		return DECAP_PASS_OTHER_MAC;
	if (config.check_source && !bpf_map_lookup_elem(&decap_from_v1, &key))
		return DECAP_PASS_SOURCE;
	if (tunnel->options)
		return DECAP_PASS_OPTIONS;
	if (tunnel->lies)
		return DECAP_DROP_MALFORMED;
	if (tunnel->damaged)
		return DECAP_DROP_CHECKSUM;
	if (tunnel->fragment)
		return DECAP_DROP_FRAGMENT;
	return CONTINUE;
}

/* RFC 6040, figure 4; -1: to be dropped. */
static __always_inline int merge_ecn(__u8 outer, __u8 inner)
{
	if (inner == ECN_NOT_ECT)
		return outer == ECN_CE ? -1 : ECN_NOT_ECT;
	if (outer == ECN_CE)
		return ECN_CE;
	if (inner == ECN_ECT0 && outer == ECN_ECT1)
		return ECN_ECT1;
	return inner;
}

static __always_inline int accept_inner4(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + tunnel->outer_at + tunnel->outer_bytes;
	struct address vip = {};
	__u16 before, after;
	__u32 total;
	int ecn;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return DECAP_DROP_INNER;
	total = bpf_ntohs(ip->tot_len);
	if (total < ip->ihl * 4 || total > tunnel->payload)
		return DECAP_DROP_INNER;
	vip.words[2] = bpf_htonl(0xffff);
	vip.words[3] = ip->daddr;
	if (config.check_vip && !bpf_map_lookup_elem(&decap_vips_v1, &vip))
		return DECAP_PASS_NOT_VIP;
	ecn = merge_ecn(tunnel->ecn, ip->tos & ECN_MASK);
	if (ecn < 0)
		return DECAP_DROP_ECN;
	if (ecn == (ip->tos & ECN_MASK))
		return CONTINUE;
	/* RFC 1624: HC' = ~(~HC + ~m + m'). */
	before = *(__u16 *)ip;
	ip->tos = (ip->tos & ~ECN_MASK) | ecn;
	after = *(__u16 *)ip;
	ip->check = ~fold((__u16)~ip->check + (__u16)~before + after);
	return CONTINUE;
}

static __always_inline int accept_inner6(struct xdp_md *ctx, const struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + tunnel->outer_at + tunnel->outer_bytes;
	struct address vip;
	int ecn;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_DROP_INNER;
	if (bpf_ntohs(ip->payload_len) + sizeof(*ip) > tunnel->payload)
		return DECAP_DROP_INNER;
	__builtin_memcpy(&vip, &ip->daddr, sizeof(vip));
	if (config.check_vip && !bpf_map_lookup_elem(&decap_vips_v1, &vip))
		return DECAP_PASS_NOT_VIP;
	ecn = merge_ecn(tunnel->ecn, (ip->flow_lbl[0] >> 4) & ECN_MASK);
	if (ecn < 0)
		return DECAP_DROP_ECN;
	ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | ecn << 4;
	return CONTINUE;
}

/* Ethernet header and tags move up to the inner packet; the last type on the way becomes the inner one's. */
static __always_inline int strip(struct xdp_md *ctx, struct tunnel *tunnel)
{
	__be16 type = tunnel->inner == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	struct vlan_tag *tags;
	struct ethhdr *ethernet;
	void *end;

	if (bpf_xdp_adjust_head(ctx, tunnel->outer_bytes))
		return DECAP_DROP_INTERNAL;
	ethernet = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	tags = (void *)(ethernet + 1);
	if ((void *)(ethernet + 1) > end)
		return DECAP_DROP_INTERNAL;
	*ethernet = tunnel->ethernet;
	if (tunnel->tag_count == 0) {
		ethernet->h_proto = type;
	} else if (tunnel->tag_count == 1) {
		if ((void *)(tags + 1) > end)
			return DECAP_DROP_INTERNAL;
		tags[0] = (struct vlan_tag){tunnel->tags[0].control, type};
	} else {
		if ((void *)(tags + 2) > end)
			return DECAP_DROP_INTERNAL;
		tags[0] = tunnel->tags[0];
		tags[1] = (struct vlan_tag){tunnel->tags[1].control, type};
	}
	if (tunnel->outer_bytes == sizeof(struct iphdr))
		return DECAP_STRIPPED_4IN4;
	return tunnel->inner == IPPROTO_IPIP ? DECAP_STRIPPED_4IN6 : DECAP_STRIPPED_6IN6;
}

static __always_inline int handle(struct xdp_md *ctx)
{
	struct tunnel tunnel = {};
	int reason;

	reason = parse_ethernet(ctx, &tunnel);
	if (reason != CONTINUE)
		return reason;
	if (tunnel.type == bpf_htons(ETH_P_IP))
		reason = parse_outer4(ctx, &tunnel);
	else if (tunnel.type == bpf_htons(ETH_P_IPV6))
		reason = parse_outer6(ctx, &tunnel);
	else
		reason = DECAP_PASS_NOT_TUNNEL;
	if (reason != CONTINUE)
		return reason;
	reason = admit(&tunnel);
	if (reason != CONTINUE)
		return reason;
	reason = tunnel.inner == IPPROTO_IPIP ? accept_inner4(ctx, &tunnel) : accept_inner6(ctx, &tunnel);
	if (reason != CONTINUE)
		return reason;
	return strip(ctx, &tunnel);
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	__u32 bytes = frame_bytes(ctx), zero = 0;
	struct decap_counters *counters = bpf_map_lookup_elem(&decap_count_v1, &zero);
	__u32 reason = handle(ctx);

	if (counters && reason < DECAP_REASON_COUNT) {
		counters->reasons[reason].packets++;
		counters->reasons[reason].bytes += bytes;
	}
	return reason >= DECAP_DROP_FRAGMENT && reason <= DECAP_DROP_INTERNAL ? XDP_DROP : XDP_PASS;
}

/* Dual BSD/GPL to the kernel; the source is offered under either licence of the first line. */
char _license[] SEC("license") = "Dual BSD/GPL";
