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

static __always_inline void sample_drop(enum reason reason, const struct packet *packet)
{
	/* In place: the stack is needed elsewhere. */
	struct drop_event *event = bpf_ringbuf_reserve(&events_v2, sizeof(*event), 0);

	if (!event)
		return;
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
	bpf_ringbuf_submit(event, 0);
}

static __always_inline int count_reason(enum reason reason)
{
	__u32 zero = 0;
	struct lb_counters *counters = bpf_map_lookup_elem(&counters_v2, &zero);

	if (counters)
		counters->reasons[reason & (REASON_COUNT - 1)]++;
	if (reason < FIRST_ANSWER)
		return XDP_PASS;
	return reason < FIRST_DROP ? XDP_TX : XDP_DROP;
}

/* Counts why a packet ends here. Of drops, the first of its reason in a tick on each CPU is shown to the agent. */
static __always_inline int finish(enum reason reason, struct work *work)
{
	__u32 slot = reason & (REASON_COUNT - 1);

	if (reason >= FIRST_DROP && work->sampled_tick[slot] != work->packet.tick) {
		work->sampled_tick[slot] = work->packet.tick;
		sample_drop(reason, &work->packet);
	}
	return count_reason(slot);
}

#endif
