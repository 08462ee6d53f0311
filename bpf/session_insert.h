/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a new session goes: its first bucket while two slots are free there, else a free slot of the emptier one; else
 * the place of what is expired; else room is made by moving others to their second bucket; else, oldest first, what is
 * closing, then what is young, then an established session that has been idle for more than half of its timeout gives
 * way; else the flow is not tracked. So a full table never costs a busy connection, and a flood of new flows costs only
 * its own.
 *
 * The functions that are not static are verified one by one, each once, whatever calls them.
 */
#ifndef SPILLWAY_SESSION_INSERT_H
#define SPILLWAY_SESSION_INSERT_H

#include "session.h"

/* After n failed searches for room the next min(2^n, this) are left out: a full table is not searched per packet. */
#define MAX_ROOM_SKIP 1024

enum victim_rank { RANK_EXPIRED, RANK_CLOSING, RANK_YOUNG, RANK_OLD, RANK_NONE };

struct victim {
	__u32 bucket, slot;
	__u32 score;
	__u64 value;
};

/* The caller owns the slot: its tag is set and its value 0, or it is about to be (after winning the value). */
static __always_inline void publish(struct session_slot *slot, __u32 index, struct insertion *in)
{
	struct session_detail *detail = bpf_map_lookup_elem(&details_v2, &index);

	if (detail)
		*detail = in->detail;
	in->slot = index;
	ONCE(slot->tag) = in->tag;
	/* An exchange, not a store: everything above is seen before the value makes it valid. */
	__sync_lock_test_and_set(&slot->value, in->value);
}

static __always_inline int free_slots(const struct session_bucket *bucket)
{
	int n = 0;

#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		n += ONCE(bucket->slots[i].tag) == 0;
	return n;
}

static __always_inline bool take_free(struct session_bucket *bucket, __u32 index, struct insertion *in)
{
#pragma unroll
	for (__u32 i = 0; i < SLOTS_PER_BUCKET; i++) {
		struct session_slot *slot = &bucket->slots[i];

		if (ONCE(slot->tag) || __sync_val_compare_and_swap(&slot->tag, 0, in->tag))
			continue;
		publish(slot, index * SLOTS_PER_BUCKET + i, in);
		return true;
	}
	return false;
}

/* The lower, the sooner it has to go: rank, then the longer idle. */
static __always_inline __u32 eviction_score(__u64 value, __u32 tick)
{
	__u32 id = session_service(value), state = session_state(value) & 3;
	struct service *service = bpf_map_lookup_elem(&services_v2, &id);
	__u32 limit = service ? service->timeout_ticks[state] : 0, idle = session_idle(value, tick), rank;

	if (idle > limit)
		rank = RANK_EXPIRED;
	else if (state == SESSION_CLOSING)
		rank = RANK_CLOSING;
	else if (state == SESSION_YOUNG)
		rank = RANK_YOUNG;
	else
		rank = idle > limit / 2 ? RANK_OLD : RANK_NONE;
	return rank << TICK_BITS | (TICK_MASK - idle);
}

static __always_inline void consider(const struct session_bucket *bucket, __u32 index, __u32 tick, struct victim *best)
{
	for (__u32 i = 0; i < SLOTS_PER_BUCKET; i++) {
		__u64 value = ONCE(bucket->slots[i].value);
		__u32 score = value ? eviction_score(value, tick) : ~0u;

		if (score >= best->score)
			continue;
		best->score = score;
		best->bucket = index;
		best->slot = i;
		best->value = value;
	}
}

static __always_inline bool evict(const struct victim *victim, struct insertion *in)
{
	struct session_bucket *bucket = bucket_at(victim->bucket);
	__u32 i = victim->slot & (SLOTS_PER_BUCKET - 1);
	struct session_slot *slot;

	if (!bucket)
		return false;
	slot = &bucket->slots[i];
	if (__sync_val_compare_and_swap(&slot->value, victim->value, 0) != victim->value)
		return false;
	publish(slot, victim->bucket * SLOTS_PER_BUCKET + i, in);
	return true;
}

/* The other bucket of the entry in this slot; its own when the slot holds nothing that can move. */
static __always_inline __u32 other_bucket(const struct session_slot *slot, __u32 own)
{
	__u64 tag = ONCE(slot->tag);
	__u32 first;

	if (!tag || !ONCE(slot->value))
		return own;
	first = first_bucket(tag);
	return first == own ? second_bucket(tag) : first;
}

/*
 * Moves the entry of slot `from` into a free slot of its other bucket and leaves `from` owned (value 0). A reader sees
 * the entry in one place or in both, never in none (session_find looks again).
 */
__noinline int move_out(__u32 from_index, __u32 to_bucket)
{
	__u32 from_bucket = from_index / SLOTS_PER_BUCKET, i;
	struct session_bucket *bucket = bucket_at(from_bucket), *target = bucket_at(to_bucket);
	struct session_slot *from, *to;
	struct session_detail *from_detail, *to_detail;
	__u64 tag, value;

	if (!bucket || !target)
		return 0;
	from = &bucket->slots[from_index & (SLOTS_PER_BUCKET - 1)];
	tag = ONCE(from->tag);
	value = ONCE(from->value);
	if (!tag || !value)
		return 0;
	for (i = 0; i < SLOTS_PER_BUCKET; i++) {
		__u32 to_index = to_bucket * SLOTS_PER_BUCKET + i;

		to = &target->slots[i];
		if (ONCE(to->tag) || __sync_val_compare_and_swap(&to->tag, 0, tag))
			continue;
		from_detail = bpf_map_lookup_elem(&details_v2, &from_index);
		to_detail = bpf_map_lookup_elem(&details_v2, &to_index);
		if (from_detail && to_detail)
			*to_detail = *from_detail;
		__sync_lock_test_and_set(&to->value, value);
		if (__sync_val_compare_and_swap(&from->value, value, 0) == value)
			return 1;
		/* It changed under us: it stays where it was. A copy that has changed, too, is in other hands by now.
		 */
		if (__sync_val_compare_and_swap(&to->value, value, 0) == value)
			ONCE(to->tag) = 0;
		return 0;
	}
	return 0;
}

/* One step: room in `bucket` by moving one of its entries to where there is a free slot. Slot number, or -1. */
__noinline int room_by_one(__u32 index)
{
	struct session_bucket *bucket = bucket_at(index), *target;
	__u32 i, other;

	if (!bucket)
		return -1;
	for (i = 0; i < SLOTS_PER_BUCKET; i++) {
		other = other_bucket(&bucket->slots[i], index);
		target = bucket_at(other);
		if (other == index || !target || !free_slots(target))
			continue;
		if (move_out(index * SLOTS_PER_BUCKET + i, other))
			return i;
	}
	return -1;
}

/* Two steps: first room in the other bucket of one of the entries, then that entry goes there. */
__noinline int room_by_two(__u32 index)
{
	struct session_bucket *bucket = bucket_at(index), *target;
	__u32 i, other;
	int freed;

	if (!bucket)
		return -1;
	for (i = 0; i < SLOTS_PER_BUCKET; i++) {
		other = other_bucket(&bucket->slots[i], index);
		if (other == index)
			continue;
		freed = room_by_one(other);
		target = bucket_at(other);
		if (freed < 0 || !target)
			continue;
		/* Hand the slot back as free; move_out takes it again. */
		ONCE(target->slots[freed & (SLOTS_PER_BUCKET - 1)].tag) = 0;
		count_table(TABLE_MOVED, 1);
		if (move_out(index * SLOTS_PER_BUCKET + i, other))
			return i;
	}
	return -1;
}

static __always_inline int room_in(__u32 first, __u32 second, __u32 *bucket)
{
	int slot;

	*bucket = first;
	slot = room_by_one(first);
	if (slot >= 0)
		return slot;
	*bucket = second;
	slot = room_by_one(second);
	if (slot >= 0)
		return slot;
	*bucket = first;
	slot = room_by_two(first);
	if (slot >= 0)
		return slot;
	*bucket = second;
	return room_by_two(second);
}

static __always_inline bool make_room(struct insertion *in, __u32 first, __u32 second)
{
	struct work *work = this_work();
	struct session_bucket *bucket;
	__u32 index;
	int slot;

	if (!work)
		return false;
	if (work->room_skip) {
		work->room_skip--;
		return false;
	}
	slot = room_in(first, second, &index);
	if (slot < 0) {
		work->room_failures++;
		work->room_skip = work->room_failures < 10 ? 1u << work->room_failures : MAX_ROOM_SKIP;
		return false;
	}
	work->room_failures = 0;
	bucket = bucket_at(index);
	if (!bucket)
		return false;
	slot &= SLOTS_PER_BUCKET - 1;
	publish(&bucket->slots[slot], index * SLOTS_PER_BUCKET + slot, in);
	count_table(TABLE_MOVED, 1);
	return true;
}

/* The usual case: a free slot. Two functions called one after the other, not one in the other, for their stacks' sake.
 */
__noinline int session_insert(struct insertion *in)
{
	struct session_bucket *a, *b;
	__u32 first, second;
	bool done;
	int free;

	if (!in)
		return 0;
	first = first_bucket(in->tag);
	second = second_bucket(in->tag);
	a = bucket_at(first);
	b = bucket_at(second);
	if (!a || !b)
		return 0;
	free = free_slots(a);
	/* The second bucket's line is looked at only when the first has one slot left. */
	if (free < 2 && free_slots(b) > free)
		done = take_free(b, second, in) || take_free(a, first, in);
	else
		done = take_free(a, first, in) || take_free(b, second, in);
	if (done)
		count_table(TABLE_INSERTED, 1);
	return done;
}

/* Takes the place of an entry of a rank up to `limit`, the readiest to go. */
__noinline int session_evict(struct insertion *in, __u32 limit)
{
	struct victim victim = {.score = RANK_NONE << TICK_BITS};
	__u32 first, second, rank;
	struct session_bucket *a, *b;

	if (!in)
		return 0;
	first = first_bucket(in->tag);
	second = second_bucket(in->tag);
	a = bucket_at(first);
	b = bucket_at(second);
	if (!a || !b)
		return 0;
	consider(a, first, in->tick, &victim);
	consider(b, second, in->tick, &victim);
	rank = victim.score >> TICK_BITS;
	if (rank > limit || !evict(&victim, in))
		return 0;
	count_table(TABLE_REUSED_EXPIRED + (rank & 3), 1);
	count_table(TABLE_INSERTED, 1);
	return 1;
}

/* Moves another session to its other bucket. */
__noinline int session_make_room(struct insertion *in)
{
	if (!in || !make_room(in, first_bucket(in->tag), second_bucket(in->tag)))
		return 0;
	count_table(TABLE_INSERTED, 1);
	return 1;
}

/*
 * Steps one after the other, not one within the other: the stack of all calls is 512 bytes. True when the flow has a
 * session now.
 */
static __always_inline bool session_record(struct insertion *in)
{
	if (session_insert(in) || session_evict(in, RANK_EXPIRED) || session_make_room(in) ||
	    session_evict(in, RANK_OLD))
		return true;
	count_table(TABLE_NOT_TRACKED, 1);
	return false;
}

#endif
