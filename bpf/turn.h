/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Schedulers whose choice is no function of the packet: in turn (WRR, RR) and to the least loaded (WLC). Only a
 * session remembers the choice, so every new flow leaves one, a SYN too. A flow that finds no room for a session, and
 * a packet in the middle of a connection that has none, go by the flow's hash over the same slots: so they stay where
 * they are while the slots do, and after a swap until the handover ends.
 */
#ifndef SPILLWAY_TURN_H
#define SPILLWAY_TURN_H

#include "select.h"

/* Slots looked at when those before name backends that are down: the table without them is on its way. */
#define SLOT_TRIES 8
/* Members whose load is compared: of larger pools so many, from the pool's turn on. */
#define LEAST_MEMBERS 64

static __always_inline bool is_unhashed(const struct service *service)
{
	return service->schedule == SCHEDULE_TURN || service->schedule == SCHEDULE_LEAST;
}

/* A new number for each caller, whatever core it runs on. */
static __always_inline __u64 take_turn(__u32 pool_id)
{
	struct turn *turn = bpf_map_lookup_elem(&turns_v2, &pool_id);

	return turn ? __sync_fetch_and_add(&turn->next, 1) : 0;
}

/* Sessions that begin and end between two counts of the agent. */
static __always_inline void count_load(__u32 backend_id, __s64 sessions)
{
	struct load *load = bpf_map_lookup_elem(&loads_v2, &backend_id);

	if (load)
		__sync_fetch_and_add(&load->made, sessions);
}

static __always_inline __u32 member_at(const struct maglev_table *table, __u32 slot)
{
	asm volatile("" : "+r"(slot));
	return slot < MAGLEV_SLOTS ? table->slots[slot] : MAGLEV_NONE;
}

static __always_inline __u32 next_in_turn(const struct work *work, const struct pool *pool,
					  const struct maglev_table *table)
{
	for (int i = 0; i < SLOT_TRIES; i++) {
		__u32 id = member_at(table, take_turn(work->pool_id) % pool->slots);

		if (backend_up(id))
			return id;
	}
	return MAGLEV_NONE;
}

/*
 * Where (sessions + 1) / weight is least; of equals the first from the pool's turn on. What the loop goes by is kept
 * in memory: of registers the verifier would follow every value through every iteration.
 */
static __always_inline __u32 least_loaded(struct work *work, const struct pool *pool, const struct maglev_table *table)
{
	struct least *least = &work->least;
	__u32 members = pool->slots;

	ONCE(least->slot) = take_turn(work->pool_id) % members;
	ONCE(least->backend) = MAGLEV_NONE;
	for (__u32 i = 0; i < LEAST_MEMBERS && i < members; i++) {
		__u32 slot = ONCE(least->slot), id = member_at(table, slot);
		struct backend *backend = backend_up(id);
		struct load *load = bpf_map_lookup_elem(&loads_v2, &id);
		__s64 sessions;

		ONCE(least->slot) = slot + 1 < members ? slot + 1 : 0;
		if (!backend || !load)
			continue;
		/* The agent's count and the data path's meet without a lock: for a moment the sum may be too small. */
		sessions = ONCE(load->known) + ONCE(load->made);
		sessions = sessions < 0 ? 1 : sessions + 1;
		if (ONCE(least->backend) && sessions * ONCE(least->weight) >= ONCE(least->sessions) * backend->weight)
			continue;
		ONCE(least->backend) = id;
		ONCE(least->sessions) = sessions;
		ONCE(least->weight) = backend->weight;
	}
	return ONCE(least->backend);
}

/* By the flow's hash, in the table before while it is handed over from. */
static __always_inline __u32 steady_member(const struct work *work, const struct pool *pool,
					   const struct maglev_table *table)
{
	__u64 hash = work->packet.tag;
	__u32 id, slot;

	if (in_handover(pool, work->packet.tick)) {
		id = table_entry(pool->previous_table, table_slot(hash, pool->previous_slots));
		if (backend_up(id))
			return id;
	}
	slot = table_slot(hash, pool->slots);
	for (int i = 0; i < SLOT_TRIES; i++) {
		id = member_at(table, slot);
		if (backend_up(id))
			return id;
		slot = slot + 1 >= pool->slots ? 0 : slot + 1;
	}
	return MAGLEV_NONE;
}

/* Fills backend_id. `steady`: by the hash, for a flow that has no session to remember another choice. */
__noinline int select_unhashed(struct work *work, bool steady)
{
	struct maglev_table *table;
	struct service *service;
	struct pool *pool;
	__u32 index;

	if (!work)
		return DROP_INTERNAL;
	pool = pool_at(work->pool_id);
	service = service_at(work->service_id);
	if (!pool || !service)
		return DROP_INTERNAL;
	index = pool->table;
	table = bpf_map_lookup_elem(&maglev_v2, &index);
	if (!table)
		return DROP_INTERNAL;
	if (table->slots[0] == MAGLEV_NONE)
		return DROP_NO_BACKEND;
	if (steady)
		work->backend_id = steady_member(work, pool, table);
	else if (service->schedule == SCHEDULE_LEAST)
		work->backend_id = least_loaded(work, pool, table);
	else
		work->backend_id = next_in_turn(work, pool, table);
	return work->backend_id == MAGLEV_NONE ? DROP_BACKEND_DOWN : VERDICT_NONE;
}

#endif
