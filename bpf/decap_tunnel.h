/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The outer headers: what they say, and whether the tunnel is for this host. */
#ifndef SPILLWAY_DECAP_TUNNEL_H
#define SPILLWAY_DECAP_TUNNEL_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "decap_maps.h"

/* The step found nothing that ends the packet's way. */
#define CONTINUE (-1)

#define IPV4_FRAGMENT 0x3fff /* MF and offset; DF is fine */
#define IPV4_OFFSET   0x1fff
#define IPV6_OFFSET   0xfff8
#define ECN_MASK      3

/* draft-ietf-intarea-gue: the upper two bits of the first byte; variant 1 is an IP packet without a header. */
#define GUE_VARIANT_SHIFT 6
#define GUE_CONTROL_HLEN  0x3f /* of variant 0: control bit and length of optional fields */
#define GUE_HEADER_BYTES  4

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
	__u32 outer_bytes; /* all that is to be stripped */
	__u32 payload;	   /* bytes behind that, as it says */
	__be16 type;	   /* of the outer header */
	__u8 inner;	   /* IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 ecn;
	__u8 options;
	__u8 fragment;
	__u8 lies; /* a length does not fit the frame */
	__u8 damaged;
	__u8 gue;
	__u8 gue_refused;
	struct address source;
};

struct fragment_header {
	__u8 next_header;
	__u8 reserved;
	__be16 offset;
	__be32 identification;
};

static __always_inline __u32 frame_bytes(struct xdp_md *ctx)
{
	if (config.frags)
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
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

/* Asked first: most datagrams of a host are none, and should not pay for what follows. */
static __always_inline int is_gue(const struct udphdr *udp, void *end)
{
	return config.gue_port && (void *)(udp + 1) <= end && udp->dest == config.gue_port;
}

/*
 * `room` is what the IP header leaves for the datagram. Its checksum is not looked at, zero or not: inner headers and
 * transport have their own (RFC 6935, 6936), and a sum over the whole packet would cost more than all else here.
 */
static __always_inline void parse_gue(struct udphdr *udp, void *end, __u32 room, struct tunnel *tunnel)
{
	__u8 *gue = (void *)(udp + 1);
	__u32 length, header = 0;

	if ((void *)(udp + 1) > end)
		return;
	length = bpf_ntohs(udp->len);
	tunnel->gue = 1;
	tunnel->lies |= length < sizeof(*udp) || (!tunnel->fragment && length > room);
	tunnel->gue_refused = 1;
	if ((void *)(gue + GUE_HEADER_BYTES) > end)
		return;
	if (gue[0] >> GUE_VARIANT_SHIFT == 1) {
		tunnel->inner = gue[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
		tunnel->gue_refused = gue[0] >> 4 != 4 && gue[0] >> 4 != 6;
	} else if (gue[0] >> GUE_VARIANT_SHIFT == 0) {
		tunnel->inner = gue[1];
		tunnel->gue_refused = (gue[0] & GUE_CONTROL_HLEN) || gue[2] || gue[3] ||
				      (gue[1] != IPPROTO_IPIP && gue[1] != IPPROTO_IPV6);
		header = GUE_HEADER_BYTES;
	}
	if (length < sizeof(*udp) + header)
		tunnel->gue_refused = 1;
	tunnel->outer_bytes += sizeof(*udp) + header;
	tunnel->payload = length - sizeof(*udp) - header;
}

static __always_inline int parse_outer4(struct xdp_md *ctx, struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + tunnel->outer_at;
	__u32 total, header, sum = 0, i;

	if ((void *)(ip + 1) > end || ip->version != 4)
		return DECAP_PASS_NOT_TUNNEL;
	header = ip->ihl * 4;
	if (ip->protocol == IPPROTO_UDP) {
		/* Where there are no ports, nobody can say whose it is. */
		if (ip->ihl < 5 || (ip->frag_off & bpf_htons(IPV4_OFFSET)) || !is_gue((void *)ip + header, end))
			return DECAP_PASS_NOT_TUNNEL;
	} else if (ip->protocol != IPPROTO_IPIP && ip->protocol != IPPROTO_IPV6) {
		return DECAP_PASS_NOT_TUNNEL;
	}
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
	address_from4(&tunnel->source, ip->saddr);
	if (ip->protocol == IPPROTO_UDP)
		parse_gue((void *)ip + header, end, total - header, tunnel);
	return CONTINUE;
}

static __always_inline int parse_outer6(struct xdp_md *ctx, struct tunnel *tunnel)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + tunnel->outer_at;
	struct fragment_header *fragment = (void *)(ip + 1);
	struct udphdr *udp;
	int later = 0;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return DECAP_PASS_NOT_TUNNEL;
	tunnel->inner = ip->nexthdr;
	if (ip->nexthdr == IPPROTO_FRAGMENT) {
		if ((void *)(fragment + 1) > end)
			return DECAP_PASS_NOT_TUNNEL;
		tunnel->inner = fragment->next_header;
		tunnel->fragment = 1;
		later = (fragment->offset & bpf_htons(IPV6_OFFSET)) != 0;
	}
	udp = tunnel->fragment ? (void *)(fragment + 1) : (void *)fragment;
	if (tunnel->inner == IPPROTO_UDP ? later || !is_gue(udp, end)
					 : tunnel->inner != IPPROTO_IPV6 && tunnel->inner != IPPROTO_IPIP)
		return DECAP_PASS_NOT_TUNNEL;
	tunnel->outer_bytes = sizeof(*ip);
	tunnel->payload = bpf_ntohs(ip->payload_len);
	tunnel->ecn = (ip->flow_lbl[0] >> 4) & ECN_MASK;
	tunnel->lies = tunnel->payload > frame_bytes(ctx) - tunnel->outer_at - sizeof(*ip);
	address_from6(&tunnel->source, &ip->saddr);
	if (tunnel->inner == IPPROTO_UDP)
		parse_gue(udp, end, tunnel->payload, tunnel);
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
	struct decap_prefix key = {.prefix_bits = 128, .address = tunnel->source};

	if (!own_mac(&tunnel->ethernet))
		return DECAP_PASS_OTHER_MAC;
	if (config.check_source && !bpf_map_lookup_elem(&decap_from_v2, &key))
		return DECAP_PASS_SOURCE;
	if (tunnel->options)
		return DECAP_PASS_OPTIONS;
	if (tunnel->lies)
		return DECAP_DROP_MALFORMED;
	if (tunnel->damaged)
		return DECAP_DROP_CHECKSUM;
	if (tunnel->fragment)
		return DECAP_DROP_FRAGMENT;
	if (tunnel->gue && tunnel->gue_refused)
		return DECAP_DROP_GUE;
	return CONTINUE;
}

#endif
