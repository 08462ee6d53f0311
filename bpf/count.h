/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef SPILLWAY_COUNT_H
#define SPILLWAY_COUNT_H

#include "work.h"

static __always_inline void count_table(enum table_event event, __u64 times)
{
	__u32 zero = 0;
	struct lb_counters *counters = bpf_map_lookup_elem(&counters_v2, &zero);

	if (counters)
		counters->table[event] += times;
}

static __always_inline void count_traffic(void *map, __u32 id, __u32 frame_bytes, bool fresh, bool tracked)
{
	struct traffic *traffic = bpf_map_lookup_elem(map, &id);

	if (!traffic)
		return;
	traffic->packets++;
	traffic->bytes += frame_bytes;
	if (fresh)
		traffic->sessions++;
	if (!tracked)
		traffic->no_session++;
}

/* Word by word: see copy_frame in capture.h. The rest of a word at the frame's end is left out. */
static __always_inline __u32 copy_head(struct xdp_md *ctx, __u8 *to)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at;

	for (at = 0; at < DROP_SAMPLE_BYTES; at += 2) {
		if (data + at + 2 > end)
			break;
		*(__u16 *)(to + at) = *(__u16 *)(data + at);
	}
	return at;
}

/* A function of its own, for it is called from more than one place. */
__noinline int sample_drop(struct xdp_md *ctx, const struct packet *packet, __u32 reason)
{
	/* In place: the stack is needed elsewhere. */
	struct drop_event *event = bpf_ringbuf_reserve(&events_v2, sizeof(*event), 0);

	if (!event)
		return 0;
	if (!packet) {
		bpf_ringbuf_discard(event, 0);
		return 0;
	}
	event->kind = EVENT_DROP;
	event->reason = reason;
	event->tick = packet->tick;
	event->protocol = packet->protocol;
	__builtin_memset(event->pad, 0, sizeof(event->pad));
	event->length = packet->frame_bytes;
	event->source_port = (__be16)packet->ports;
	event->destination_port = (__be16)(packet->ports >> 16);
	event->source = packet->source;
	event->destination = packet->destination;
	event->captured = copy_head(ctx, event->frame);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Which packet goes where, for a capture that is under way. */
static __always_inline void note(__u32 reason, __u32 service_id, __u32 backend_id)
{
	struct work *work;

	if (!config.capture)
		return;
	work = this_work();
	if (!work)
		return;
	work->reason = reason;
	work->service_id = service_id;
	work->backend_id = backend_id;
}

static __always_inline int count_reason(enum reason reason)
{
	__u32 zero = 0;
	struct lb_counters *counters = bpf_map_lookup_elem(&counters_v2, &zero);
	struct work *work = config.capture ? this_work() : NULL;

	if (work)
		work->reason = reason;
	if (counters)
		counters->reasons[reason & (REASON_COUNT - 1)]++;
	if (reason < FIRST_ANSWER)
		return XDP_PASS;
	return reason < FIRST_DROP ? XDP_TX : XDP_DROP;
}

/* Counts why a packet ends here. Of drops, the first of its reason in a tick on each CPU is shown to the agent. */
static __always_inline int finish(struct xdp_md *ctx, enum reason reason, struct work *work)
{
	__u32 slot = reason & (REASON_COUNT - 1);

	if (reason >= FIRST_DROP && work->sampled_tick[slot] != work->packet.tick) {
		work->sampled_tick[slot] = work->packet.tick;
		sample_drop(ctx, &work->packet, slot);
	}
	return count_reason(slot);
}

#endif
