/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A SYN's maximum segment size, lowered to what the listener says, so that the backend sends no larger segments to the
 * client. One that offers none is left alone: the backend takes 536 (IPv4) or 1220 (IPv6) for granted (RFC 9293,
 * 3.7.1).
 */
#ifndef SPILLWAY_SEGMENT_H
#define SPILLWAY_SEGMENT_H

#include "checksum.h"
#include "work.h"

#define MAX_TCP_OPTIONS 40
#define TCP_HEADER	20

enum { OPTION_END = 0, OPTION_NONE = 1, OPTION_MAX_SEGMENT = 2 };

struct segment_option {
	__u8 kind;
	__u8 length;
	__u8 value[2];
};

struct tcp_header {
	__u8 before[12];
	__u8 offset;
	__u8 flags;
	__be16 window;
	__u16 check;
	__be16 urgent;
};

static __always_inline void lower_segment(struct tcp_header *tcp, struct segment_option *option, __u32 limit, bool odd)
{
	__u16 offered = option->value[0] << 8 | option->value[1];

	if (offered <= limit)
		return;
	option->value[0] = limit >> 8;
	option->value[1] = limit;
	/* The sum is of words from the header's start: at an odd place the bytes of a word are those of two. */
	if (odd)
		tcp->check = replace_word(tcp->check, offered, limit);
	else
		tcp->check = replace_word(tcp->check, bpf_htons(offered), bpf_htons(limit));
}

/* Where the option is among the `bytes` of this header; 0: nowhere, or what stands before it is no list of options. */
static __always_inline __u32 find_segment_option(void *tcp, void *end, __u32 bytes, struct work *work)
{
	struct segment_option *option;
	__u32 at;

	work->option_at = TCP_HEADER;
	for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
		/* In memory, so that the verifier does not follow every sum of lengths on its own. */
		at = *(volatile __u8 *)&work->option_at;
		option = tcp + (at & 0x3f);
		if (at + 2 > bytes || (void *)option + 2 > end || option->kind == OPTION_END)
			return 0;
		if (option->kind == OPTION_MAX_SEGMENT)
			return option->length == sizeof(*option) && at + sizeof(*option) <= bytes ? at : 0;
		if (option->kind == OPTION_NONE)
			at++;
		else if (option->length < 2)
			return 0;
		else
			at += option->length;
		if (at > bytes)
			return 0;
		*(volatile __u8 *)&work->option_at = at;
	}
	return 0;
}

__noinline int clamp_segment(struct xdp_md *ctx, struct work *work, __u32 limit)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct segment_option *option;
	struct packet *packet;
	struct tcp_header *tcp;
	__u32 bytes, left, at;

	if (!work)
		return 0;
	packet = &work->packet;
	tcp = data + (packet->l4_at & 0x3ff);
	if ((void *)(tcp + 1) > end)
		return 0;
	bytes = (tcp->offset >> 4) * 4;
	left = packet->link_bytes + packet->ip_bytes - packet->l4_at;
	at = find_segment_option(tcp, end, bytes < left ? bytes : left, work);
	option = (void *)tcp + (at & 0x3f);
	if (at && (void *)(option + 1) <= end)
		lower_segment(tcp, option, limit, at & 1);
	return 0;
}

#endif
