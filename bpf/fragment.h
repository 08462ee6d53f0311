/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: only a datagram's first one says which flow it is of, so where that went is remembered for some seconds,
 * and the others follow. Nothing is put together here, so there is nothing to overlap: what a flow is decided by are
 * the ports, in the first eight bytes, which no later fragment can reach.
 *
 * One that comes before the first goes to the agent, which sends it through the data path again once that has come.
 */
#ifndef SPILLWAY_FRAGMENT_H
#define SPILLWAY_FRAGMENT_H

#include "allowance.h"
#include "fingerprint.h"
#include "select.h"
#include "session.h"

/* As long as a host keeps fragments (RFC 791 says 15 s, Linux 30). */
#define FRAGMENT_TICKS 120

/* RFC 791: addresses, protocol and identification; RFC 8200, 4.5: without the protocol. */
static __always_inline __u64 datagram_fingerprint(const struct packet *packet, const struct settings *settings)
{
	const __be32 *s = packet->source.words, *d = packet->destination.words;

	if (packet->v6)
		return fingerprint6(s, d, packet->fragment_id, IPPROTO_FRAGMENT, settings);
	return fingerprint4(s[3], d[3], packet->fragment_id, packet->protocol, settings);
}

static __always_inline struct session_bucket *fragment_bucket(__u64 tag)
{
	__u32 index = (__u64)(__u32)tag * config.fragment_buckets >> 32;

	return bpf_map_lookup_elem(&fragments_v2, &index);
}

/* The same datagram's slot, else a free one, else the oldest; -1 while all are being written. */
static __always_inline int fragment_slot(const struct session_bucket *bucket, __u64 tag, __u32 tick)
{
	__u32 best = 0, score;
	int found = -1;

	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		__u64 held = ONCE(bucket->slots[i].tag), value = ONCE(bucket->slots[i].value);

		if (held && !value)
			continue;
		if (held == tag)
			return i;
		score = held ? 1 + session_idle(value, tick) : TICK_MASK + 2;
		if (score > best) {
			best = score;
			found = i;
		}
	}
	return found;
}

/* The slot is ours to fill while its value is 0: see abi_types.h. */
static __always_inline bool take_slot(struct session_slot *slot, __u64 tag)
{
	__u64 value = ONCE(slot->value);

	if (!value)
		return __sync_val_compare_and_swap(&slot->tag, 0, tag) == 0;
	if (__sync_val_compare_and_swap(&slot->value, value, 0) != value)
		return false;
	ONCE(slot->tag) = tag;
	return true;
}

/* Where a first fragment went. Lost races are left: its others are early then, and try again by way of the agent. */
__noinline int remember_fragment(struct work *work)
{
	struct session_bucket *bucket;
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);
	struct packet *packet;
	int slot;

	if (!work || !settings)
		return 0;
	packet = &work->packet;
	/* From here on it names the datagram, so that all of it takes one way through a tunnel. */
	packet->tag = datagram_fingerprint(packet, settings);
	bucket = fragment_bucket(packet->tag);
	if (!bucket)
		return 0;
	slot = fragment_slot(bucket, packet->tag, packet->tick);
	if (slot < 0)
		return 0;
	slot &= SLOTS_PER_BUCKET - 1;
	if (take_slot(&bucket->slots[slot], packet->tag))
		__sync_lock_test_and_set(&bucket->slots[slot].value, session_value(work->backend_id, work->service_id,
										   packet->tick, SESSION_ESTABLISHED));
	return 0;
}

/* The whole frame into the ring; false when that is full. */
static __always_inline bool hand_to_agent(struct xdp_md *ctx, const struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 bytes = packet->frame_bytes, at = bytes & (EARLY_BYTES - 8);
	struct early_fragment_event *event;

	event = bpf_ringbuf_reserve(&events_v2, sizeof(*event), 0);
	if (!event)
		return false;
	event->kind = EVENT_EARLY_FRAGMENT;
	event->length = bytes;
	event->tick = packet->tick;
	event->tag = packet->tag;
	event->ifindex = ctx->ingress_ifindex;
	event->queue = ctx->rx_queue_index;
	for (__u32 i = 0; i < EARLY_BYTES; i += 8) {
		if (data + i + 8 > end)
			break;
		*(__u64 *)(event->frame + i) = *(__u64 *)(data + i);
	}
	/* The last bytes, fewer than eight. */
	for (__u32 i = 0; i < 7; i++) {
		if (data + at + i + 1 > end)
			break;
		event->frame[at + i] = *(__u8 *)(data + at + i);
	}
	bpf_ringbuf_submit(event, 0);
	return true;
}

/* A fragment without a transport header. VERDICT_NONE: to work->backend_id with it. */
__noinline int route_fragment(struct xdp_md *ctx, struct work *work)
{
	struct session_hit hit = {};
	struct session_bucket *bucket;
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);
	struct packet *packet;

	if (!work || !settings)
		return DROP_INTERNAL;
	packet = &work->packet;
	packet->tag = datagram_fingerprint(packet, settings);
	bucket = fragment_bucket(packet->tag);
	if (bucket && find_in(bucket, 0, packet->tag, &hit) &&
	    session_idle(hit.value, packet->tick) <= FRAGMENT_TICKS) {
		work->backend_id = session_backend(hit.value);
		work->service_id = session_service(hit.value);
		work->tracked = true;
		return VERDICT_NONE;
	}
	/* Too long, or in fragments of memory. */
	if (packet->frame_bytes >= EARLY_BYTES || packet->frame_bytes > linear_length(ctx))
		return DROP_FRAGMENT;
	if (!spend(ALLOW_EARLY_FRAGMENT, settings->fragments_per_tick, packet->tick))
		return DROP_FRAGMENT;
	return hand_to_agent(ctx, packet) ? DROP_FRAGMENT_EARLY : DROP_FRAGMENT;
}

#endif
