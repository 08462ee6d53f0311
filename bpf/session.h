/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The session table: buckets of four slots, one cache line each. A flow has two candidate buckets, both named by its
 * tag, so an entry can be moved without knowing its flow. Nothing is locked: see abi_types.h for the order of writes.
 */
#ifndef SPILLWAY_SESSION_H
#define SPILLWAY_SESSION_H

#include "count.h"

/* Last-seen is written at most once in so many ticks (about a second): a busy flow's line stays clean. */
#define REFRESH_TICKS 4

#define ONCE(x) (*(volatile typeof(x) *)&(x))

static __always_inline __u64 session_value(__u32 backend, __u32 service, __u32 tick, __u32 state)
{
	return backend | (__u64)service << 16 | (__u64)(tick & TICK_MASK) << 32 | (__u64)state << 56;
}

static __always_inline __u16 session_backend(__u64 value)
{
	return value;
}

static __always_inline __u16 session_service(__u64 value)
{
	return value >> 16;
}

static __always_inline __u32 session_state(__u64 value)
{
	return value >> 56 & 0xf;
}

/* A node's clocks may differ by a tick or two: "seen in the future" is seen now. */
static __always_inline __u32 session_idle(__u64 value, __u32 tick)
{
	__u32 idle = (tick - (__u32)(value >> 32)) & TICK_MASK;

	return idle >= TICK_MASK - 0xffff ? 0 : idle;
}

static __always_inline __u32 first_bucket(__u64 tag)
{
	return (__u64)(__u32)tag * config.buckets >> 32;
}

static __always_inline __u32 second_bucket(__u64 tag)
{
	__u32 first = first_bucket(tag), second = (tag >> 32) * config.buckets >> 32;

	if (second != first)
		return second;
	return first + 1 == config.buckets ? 0 : first + 1;
}

static __always_inline struct session_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&sessions_v2, &index);
}

static __always_inline bool session_expired(__u64 value, __u32 tick)
{
	__u32 id = session_service(value);
	struct service *service = bpf_map_lookup_elem(&services_v2, &id);
	__u32 state = session_state(value) & 3;

	return !service || session_idle(value, tick) > service->timeout_ticks[state];
}

struct session_hit {
	struct session_slot *slot; /* NULL: none */
	__u64 value;
	__u32 index; /* of the slot in the table */
};

static __always_inline bool find_in(struct session_bucket *bucket, __u32 index, __u64 tag, struct session_hit *hit)
{
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		if (ONCE(bucket->slots[i].tag) != tag)
			continue;
		hit->value = ONCE(bucket->slots[i].value);
		/* Between the two loads the slot may have gone to another flow. */
		if (!hit->value || ONCE(bucket->slots[i].tag) != tag)
			continue;
		hit->slot = &bucket->slots[i];
		hit->index = index * SLOTS_PER_BUCKET + i;
		return true;
	}
	return false;
}

static __always_inline bool session_find(__u64 tag, struct session_hit *hit)
{
	__u32 first_index = first_bucket(tag), second_index;
	struct session_bucket *first = bucket_at(first_index), *second;

	hit->slot = NULL;
	hit->value = 0;
	if (!first)
		return false;
	if (find_in(first, first_index, tag, hit))
		return true;
	second_index = second_bucket(tag);
	second = bucket_at(second_index);
	if (!second)
		return false;
	/* The entry may have moved from the second to the first while we looked. */
	return find_in(second, second_index, tag, hit) || find_in(first, first_index, tag, hit);
}

/* What the session's state is after a packet with these flags. */
static __always_inline __u32 state_after(__u32 state, const struct packet *packet)
{
	if (packet->tcp_flags & (TCP_FIN | TCP_RST))
		return SESSION_CLOSING;
	if (state == SESSION_YOUNG && !(packet->tcp_flags & TCP_SYN))
		return SESSION_ESTABLISHED;
	return state;
}

/* Whether it was written. Lost races are left: the next packet writes again. */
static __always_inline bool session_touch(const struct session_hit *hit, const struct packet *packet)
{
	__u32 state = session_state(hit->value), next = state_after(state, packet);

	if (next == state && session_idle(hit->value, packet->tick) < REFRESH_TICKS)
		return false;
	return __sync_val_compare_and_swap(&hit->slot->value, hit->value,
					   session_value(session_backend(hit->value), session_service(hit->value),
							 packet->tick, next)) == hit->value;
}

#endif
