/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef SPILLWAY_COUNT_H
#define SPILLWAY_COUNT_H

#include "packet.h"

static __always_inline void count_table(enum table_event event, __u64 times)
{
	__u32 zero = 0;
	struct lb_counters *counters = bpf_map_lookup_elem(&counters_v1, &zero);

	if (counters)
		counters->table[event] += times;
}

static __always_inline void count_traffic(void *map, __u32 id, const struct packet *packet, bool fresh, bool tracked)
{
	struct traffic *traffic = bpf_map_lookup_elem(map, &id);

	if (!traffic)
		return;
	traffic->packets++;
	traffic->bytes += packet->frame_bytes;
	if (fresh)
		traffic->sessions++;
	if (!tracked)
		traffic->no_session++;
}

static __always_inline void put_address(struct address *to, bool v6, __be32 v4, const struct in6_addr *v6_address)
{
	if (v6) {
		__builtin_memcpy(to->words, v6_address, 16);
	} else {
		to->words[0] = 0;
		to->words[1] = 0;
		to->words[2] = bpf_htonl(0xffff);
		to->words[3] = v4;
	}
}

static __always_inline void sample_drop(enum reason reason, const struct packet *packet)
{
	/* In place: the stack is needed elsewhere. */
	struct drop_event *event = bpf_ringbuf_reserve(&events_v1, sizeof(*event), 0);

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
	put_address(&event->source, packet->v6, packet->source4, packet->source6);
	put_address(&event->destination, packet->v6, packet->destination4, packet->destination6);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline int count_reason(enum reason reason)
{
	__u32 zero = 0;
	struct lb_counters *counters = bpf_map_lookup_elem(&counters_v1, &zero);

	if (counters)
		counters->reasons[reason]++;
	return reason < FIRST_DROP ? XDP_PASS : XDP_DROP;
}

/*
 * Counts why a packet ends here. Of drops, the first of its reason in a tick on each CPU is shown to the agent. The
 * frame must not have been moved: the addresses are read from it.
 */
static __always_inline int finish(enum reason reason, const struct packet *packet)
{
	__u32 zero = 0, slot = reason & (REASON_COUNT - 1);
	struct scratch *scratch;

	if (reason >= FIRST_DROP) {
		scratch = bpf_map_lookup_elem(&scratch_v1, &zero);
		if (scratch && scratch->sampled_tick[slot] != packet->tick) {
			scratch->sampled_tick[slot] = packet->tick;
			sample_drop(reason, packet);
		}
	}
	return count_reason(slot);
}

#endif
