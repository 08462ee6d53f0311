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

struct choice {
	__u32 backend_id;
	struct backend *backend;
	__u32 service_id;
	struct service *service;
	bool record_syn;
};

enum { NO_VIP = -1, NO_LISTENER = 0 };

/* The service of this address, port and protocol, NO_LISTENER or NO_VIP. */
__noinline int find_service(struct vip_key *key)
{
	struct vip_value *value;

	if (!key)
		return NO_VIP;
	value = bpf_map_lookup_elem(&vips_v1, key);
	if (value)
		return value->service;
	key->port = 0;
	key->protocol = 0;
	return bpf_map_lookup_elem(&vips_v1, key) ? NO_LISTENER : NO_VIP;
}

static __always_inline int service_of(const struct packet *packet)
{
	struct vip_key key = {.port = packet->ports >> 16, .protocol = packet->protocol};

	put_address(&key.address, packet->v6, packet->destination4, packet->destination6);
	return find_service(&key);
}

static __always_inline __u32 maglev_slot(__u64 tag)
{
	__u32 slot = ((tag >> 32) * MAGLEV_SLOTS) >> 32;

	/* clang would drop the check that the verifier needs. */
	asm volatile("" : "+r"(slot));
	return slot < MAGLEV_SLOTS ? slot : 0;
}

static __always_inline __u32 table_entry(__u32 table_index, __u32 slot)
{
	struct maglev_table *table = bpf_map_lookup_elem(&maglev_v1, &table_index);

	return table ? table->slots[slot] : MAGLEV_NONE;
}

static __always_inline struct backend *backend_up(__u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends_v1, &id);

	return backend && backend->flags & BACKEND_UP ? backend : NULL;
}

/* In 32 bits: 24 would come round again, and weeks after a swap the table before would be read as if it were young. */
static __always_inline bool in_handover(const struct pool *pool, __u32 tick)
{
	return pool->previous_table != pool->table && (__s32)(pool->handover_until - tick) >= 0;
}

static __always_inline int select_backend(const struct packet *packet, const struct settings *settings,
					  struct choice *choice)
{
	bool tcp = packet->protocol == IPPROTO_TCP, syn = packet->tcp_flags & TCP_SYN;
	__u32 pool_id = choice->service->pool, slot, before;
	struct pool *pool = bpf_map_lookup_elem(&pools_v1, &pool_id);
	struct backend *backend;

	if (!pool || !(pool->flags & POOL_IN_USE))
		return DROP_INTERNAL;
	slot = maglev_slot(choice->service->flags & SERVICE_SOURCE_HASH ? source_fingerprint(packet, settings)
									: packet->tag);
	choice->backend_id = table_entry(pool->table, slot);
	if (tcp && in_handover(pool, packet->tick)) {
		before = table_entry(pool->previous_table, slot);
		if (before != choice->backend_id) {
			backend = backend_up(before);
			if (syn) {
				choice->record_syn = true;
			} else if (backend) {
				choice->backend_id = before;
				choice->backend = backend;
				return VERDICT_NONE;
			}
		}
	}
	if (choice->backend_id == MAGLEV_NONE)
		return DROP_NO_BACKEND;
	choice->backend = backend_up(choice->backend_id);
	return choice->backend ? VERDICT_NONE : DROP_BACKEND_DOWN;
}

#endif
