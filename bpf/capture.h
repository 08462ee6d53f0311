/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Packets at the VIPs for `spillway capture`, as they came in, with what became of each. While nobody captures, the
 * program that is attached has none of this: config.capture is rodata, and a copy of the program with it set takes its
 * place for as long as a capture runs.
 */
#ifndef SPILLWAY_CAPTURE_H
#define SPILLWAY_CAPTURE_H

#include <stddef.h>
#include "parse.h"

#define CAPTURE_HEAD offsetof(struct captured_packet, frame)
#define WORD_BYTES   8

ARRAY_MAP(capture_filter_v2, struct capture_filter, 1);
CPU_ARRAY_MAP(capture_packet_v2, struct captured_packet, 1);
CPU_ARRAY_MAP(capture_state_v2, struct capture_state, 1);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* set at load: of a copy that captures */
} captures_v2 SEC(".maps");

static __always_inline bool address_matches(const struct address *address, const struct address *wanted,
					    const struct address *mask)
{
	__u32 differing = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differing |= (address->words[i] ^ wanted->words[i]) & mask->words[i];
	return !differing;
}

static __always_inline bool matches(const struct capture_filter *filter, const struct packet *packet)
{
	__be16 client_port = packet->ports, vip_port = packet->ports >> 16;

	return (!filter->protocol || filter->protocol == packet->protocol) &&
	       (!filter->client_port || filter->client_port == client_port) &&
	       (!filter->vip_port || filter->vip_port == vip_port) &&
	       address_matches(&packet->source, &filter->client, &filter->client_mask) &&
	       address_matches(&packet->destination, &filter->vip, &filter->vip_mask);
}

/* Word by word: bpf_xdp_load_bytes is not in every kernel. Of a frame in fragments, the first alone. */
static __always_inline __u32 copy_frame(struct xdp_md *ctx, struct captured_packet *to, __u32 limit)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at;

	for (at = 0; at + WORD_BYTES <= CAPTURE_MAX_BYTES && at < limit; at += WORD_BYTES) {
		if (data + at + WORD_BYTES > end)
			break;
		*(__u64 *)(to->frame + at) = *(__u64 *)(data + at);
	}
	for (; at < CAPTURE_MAX_BYTES && at < limit; at++) {
		if (data + at + 1 > end)
			break;
		to->frame[at] = *(__u8 *)(data + at);
	}
	return at < limit ? at : limit;
}

/* Is this frame to be captured? Then its bytes are set aside, before anything is changed about them. */
__noinline int set_aside(struct xdp_md *ctx)
{
	struct capture_filter *filter;
	struct captured_packet *packet;
	struct settings *settings;
	struct work *work = this_work();
	__u32 zero = 0, tick;
	int reason;

	filter = bpf_map_lookup_elem(&capture_filter_v2, &zero);
	packet = bpf_map_lookup_elem(&capture_packet_v2, &zero);
	settings = bpf_map_lookup_elem(&settings_v2, &zero);
	if (!filter || !packet || !settings || !work)
		return 0;
	tick = bpf_jiffies64() >> settings->tick_shift;
	if ((__s32)(filter->until - tick) < 0)
		return 0;
	reason = parse_frame(ctx, &work->packet);
	if ((reason >= 0 && reason < FIRST_ANSWER) || !matches(filter, &work->packet))
		return 0;
	packet->monotonic_ns = bpf_ktime_get_ns();
	packet->interface_index = ctx->ingress_ifindex;
	packet->length = work->packet.frame_bytes;
	packet->captured = copy_frame(ctx, packet, filter->snap_length);
	work->packet.tick = tick;
	work->reason = CAPTURE_FORWARDED;
	work->service_id = 0;
	work->backend_id = 0;
	return 1;
}

static __always_inline bool within_rate(struct capture_state *state, __u32 tick, __u32 rate)
{
	if (state->tick != tick) {
		state->tick = tick;
		state->in_tick = 0;
	}
	return state->in_tick++ < rate;
}

/* What was set aside goes to the agent, with what has become of it. */
__noinline int hand_over(struct work *work)
{
	struct captured_packet *packet;
	struct capture_filter *filter;
	struct capture_state *state;
	__u32 zero = 0, bytes;

	filter = bpf_map_lookup_elem(&capture_filter_v2, &zero);
	packet = bpf_map_lookup_elem(&capture_packet_v2, &zero);
	state = bpf_map_lookup_elem(&capture_state_v2, &zero);
	if (!filter || !packet || !state || !work)
		return 0;
	if (work->reason == PASS_NOT_VIP || (filter->reason != CAPTURE_ANY_REASON && filter->reason != work->reason) ||
	    (filter->drops_only && (work->reason == CAPTURE_FORWARDED || work->reason < FIRST_DROP)))
		return 0;
	packet->reason = work->reason;
	packet->service = work->service_id;
	packet->backend = work->backend_id;
	bytes = CAPTURE_HEAD + packet->captured;
	if (bytes > sizeof(*packet) || !within_rate(state, work->packet.tick, filter->rate) ||
	    bpf_ringbuf_output(&captures_v2, packet, bytes, 0))
		state->suppressed++;
	return 0;
}

#endif
