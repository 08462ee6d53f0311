/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which service takes a flow, and which backend a flow without a session goes to: Maglev (Eisenbud et al., NSDI 2016).
 *
 * Handover: a SYN leaves no session behind, so between SYN and first ACK only the table remembers the choice. When a
 * table is replaced, the one before stays readable until handover_until: meanwhile a SYN whose choice has changed is
 * recorded, and so a packet without a session began before the swap and belongs to the table before.
 */
#ifndef SPILLWAY_SELECT_H
#define SPILLWAY_SELECT_H

#include "fingerprint.h"
#include "session.h"

enum { NO_VIP = -1, NO_LISTENER = 0 };

/* By value: before 6.2 a key may not be in what a global function was given (`&work->service_id`). */
static __always_inline struct service *service_at(__u32 id)
{
	return bpf_map_lookup_elem(&services_v2, &id);
}

static __always_inline struct pool *pool_at(__u32 id)
{
	return bpf_map_lookup_elem(&pools_v2, &id);
}

/* The service of this address, port and protocol, NO_LISTENER or NO_VIP. */
__noinline int find_service(const struct vip_key *wanted)
{
	struct vip_value *value;
	struct vip_key key;

	if (!wanted)
		return NO_VIP;
	/* Before 6.2 what a global function is given may not be a map's key. */
	key = *wanted;
	value = bpf_map_lookup_elem(&vips_v2, &key);
	if (value)
		return value->service;
	key.port = 0;
	key.protocol = 0;
	return bpf_map_lookup_elem(&vips_v2, &key) ? NO_LISTENER : NO_VIP;
}

static __always_inline int service_of(const struct packet *packet)
{
	struct vip_key key = {
		.address = packet->destination, .port = packet->ports >> 16, .protocol = packet->protocol};

	return find_service(&key);
}

/* A table of `slots`: which of them a hash names. */
static __always_inline __u32 table_slot(__u64 hash, __u32 slots)
{
	__u32 slot = ((hash >> 32) * slots) >> 32;

	/* clang would drop the check that the verifier needs. */
	asm volatile("" : "+r"(slot));
	return slot < MAGLEV_SLOTS ? slot : 0;
}

static __always_inline __u32 table_entry(__u32 table_index, __u32 slot)
{
	struct maglev_table *table = bpf_map_lookup_elem(&maglev_v2, &table_index);

	return table ? table->slots[slot] : MAGLEV_NONE;
}

static __always_inline struct backend *backend_up(__u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends_v2, &id);

	return backend && backend->flags & BACKEND_UP ? backend : NULL;
}

/* In 32 bits: 24 would come round again, and weeks after a swap the table before would be read as if it were young. */
static __always_inline bool in_handover(const struct pool *pool, __u32 tick)
{
	return pool->previous_table != pool->table && (__s32)(pool->handover_until - tick) >= 0;
}

/* Maglev, and the table before it for what began before the swap. Fills backend_id and record_syn. */
static __always_inline int select_hashed(struct work *work, const struct pool *pool, __u64 hash)
{
	const struct packet *packet = &work->packet;
	bool tcp = packet->protocol == IPPROTO_TCP, syn = packet->tcp_flags & TCP_SYN;
	__u32 before;

	work->backend_id = table_entry(pool->table, table_slot(hash, pool->slots));
	if (tcp && in_handover(pool, packet->tick)) {
		before = table_entry(pool->previous_table, table_slot(hash, pool->previous_slots));
		if (before != work->backend_id) {
			if (syn) {
				work->record_syn = true;
			} else if (backend_up(before)) {
				work->backend_id = before;
				return VERDICT_NONE;
			}
		}
	}
	if (work->backend_id == MAGLEV_NONE)
		return DROP_NO_BACKEND;
	return backend_up(work->backend_id) ? VERDICT_NONE : DROP_BACKEND_DOWN;
}

#endif
