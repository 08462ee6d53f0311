/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A packet that would not fit into the tunnel: its sender is told, in the VIP's name, what does (RFC 1191, RFC 8201),
 * and sends smaller ones from then on. The frame becomes the answer: cut off behind what is quoted, with new headers in
 * front.
 */
#ifndef SPILLWAY_TOO_BIG_H
#define SPILLWAY_TOO_BIG_H

#include "echo.h"
#include "work.h"

/* An answer is of at most 576 bytes (RFC 1812, 4.3.2.3) and 1280 (RFC 4443, 2.4): what remains for the quote. */
#define QUOTE4 (576 - sizeof(struct iphdr) - sizeof(struct icmp))
#define QUOTE6 (1280 - sizeof(struct ipv6hdr) - sizeof(struct icmp))
/* Of a packet shorter than that, or whose memory is in fragments: IP header, options and 8 bytes at least. */
#define QUOTE4_SHORT 68
#define QUOTE6_SHORT 128

enum { UNREACHABLE4 = 3, FRAGMENTATION_NEEDED = 4, TOO_BIG6 = 2 };

#define MIN_MTU4 68
#define MIN_MTU6 1280

struct answer4 {
	struct iphdr ip;
	struct icmp icmp;
};

struct answer6 {
	struct ipv6hdr ip;
	struct icmp icmp;
};

/*
 * Leaves `quote` bytes of the packet behind `room` bytes for headers, and Ethernet header and tags, turned round, in
 * front. The IP header's place, or NULL.
 */
static __always_inline void *make_answer(struct xdp_md *ctx, const struct packet *packet, __u32 room, __u32 quote)
{
	__u32 link_bytes = packet->link_bytes & 0x1f;
	void *data, *end, *old;

	if (bpf_xdp_adjust_tail(ctx, (int)(link_bytes + quote) - (int)packet->frame_bytes) ||
	    bpf_xdp_adjust_head(ctx, -(int)room))
		return NULL;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	old = data + room;
	if (old + sizeof(struct ethhdr) + 2 * sizeof(struct vlan_tag) > end)
		return NULL;
	__builtin_memcpy(data, old, sizeof(struct ethhdr));
	swap_macs(data);
	/* Tags, or bytes that the headers are written over. */
	__builtin_memcpy(data + sizeof(struct ethhdr), old + sizeof(struct ethhdr), 2 * sizeof(struct vlan_tag));
	data += link_bytes;
	return data + room + quote > end ? NULL : data;
}

static __always_inline int too_big4(struct xdp_md *ctx, const struct packet *packet, __u32 mtu, const __u32 quote)
{
	struct answer4 *answer = make_answer(ctx, packet, sizeof(*answer), quote);

	if (!answer)
		return DROP_TOO_BIG;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->ip.version = 4;
	answer->ip.ihl = 5;
	answer->ip.tos = 0xc0; /* internetwork control: RFC 1812, 4.3.2.5 */
	answer->ip.tot_len = bpf_htons(sizeof(*answer) + quote);
	answer->ip.frag_off = bpf_htons(0x4000);
	answer->ip.ttl = ANSWER_TTL;
	answer->ip.protocol = IPPROTO_ICMP;
	answer->ip.saddr = packet->destination.words[3];
	answer->ip.daddr = packet->source.words[3];
	answer->ip.check = fold_sum(sum_bytes(&answer->ip, sizeof(answer->ip), 0));
	answer->icmp.type = UNREACHABLE4;
	answer->icmp.code = FRAGMENTATION_NEEDED;
	answer->icmp.rest = bpf_htonl(mtu); /* 16 unused bits before it */
	answer->icmp.check = fold_sum(sum_bytes(&answer->icmp, sizeof(answer->icmp) + quote, 0));
	return ANSWER_TOO_BIG;
}

static __always_inline int too_big6(struct xdp_md *ctx, const struct packet *packet, __u32 mtu, const __u32 quote)
{
	struct answer6 *answer = make_answer(ctx, packet, sizeof(*answer), quote);
	__be16 bytes = bpf_htons(sizeof(answer->icmp) + quote);
	__u32 sum;

	if (!answer)
		return DROP_TOO_BIG;
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->ip.version = 6;
	answer->ip.payload_len = bytes;
	answer->ip.nexthdr = IPPROTO_ICMPV6;
	answer->ip.hop_limit = ANSWER_TTL;
	__builtin_memcpy(&answer->ip.saddr, &packet->destination, sizeof(answer->ip.saddr));
	__builtin_memcpy(&answer->ip.daddr, &packet->source, sizeof(answer->ip.daddr));
	answer->icmp.type = TOO_BIG6;
	answer->icmp.rest = bpf_htonl(mtu);
	sum = sum_bytes(&answer->ip.saddr, 2 * sizeof(answer->ip.saddr), bytes + bpf_htons(IPPROTO_ICMPV6));
	answer->icmp.check = fold_sum(sum_bytes(&answer->icmp, sizeof(answer->icmp) + quote, sum));
	return ANSWER_TOO_BIG;
}

/* Bytes of IP packet that the tunnel to a backend takes. */
static __always_inline __u32 room_within(const struct backend *backend)
{
	return backend->mtu > backend->outer_bytes ? backend->mtu - backend->outer_bytes : 0;
}

/* RFC 1122, 3.2.2: not to errors, nor to fragments other than the first, nor to what is no single host. */
static __always_inline bool may_be_told(const struct packet *packet, __u32 mtu)
{
	if (!packet->dont_fragment || packet->icmp_error || packet->fragment == FRAGMENT_LATER || !is_one_host(packet))
		return false;
	return packet->v6 ? packet->ip_bytes > mtu : mtu >= MIN_MTU4;
}

/* `mtu`: what fits into the tunnel. Returns ANSWER_TOO_BIG, or DROP_TOO_BIG when its sender cannot be told. */
__noinline int answer_too_big(struct xdp_md *ctx, const struct work *work, __u32 mtu)
{
	__u32 zero = 0, fits;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);
	const struct packet *packet;

	if (!work || !settings)
		return DROP_INTERNAL;
	packet = &work->packet;
	/* Less is no IPv6: a tunnel that narrow drops what is larger than it and not larger than this, unanswered. */
	if (packet->v6 && mtu < MIN_MTU6)
		mtu = MIN_MTU6;
	if (!may_be_told(packet, mtu) || !spend(ALLOW_ERROR, settings->errors_per_tick, packet->tick))
		return DROP_TOO_BIG;
	fits = linear_length(ctx) - packet->link_bytes;
	if (fits > packet->ip_bytes)
		fits = packet->ip_bytes;
	if (packet->v6)
		return fits >= QUOTE6 ? too_big6(ctx, packet, mtu, QUOTE6) : too_big6(ctx, packet, mtu, QUOTE6_SHORT);
	return fits >= QUOTE4 ? too_big4(ctx, packet, mtu, QUOTE4) : too_big4(ctx, packet, mtu, QUOTE4_SHORT);
}

#endif
