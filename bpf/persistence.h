/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Source persistence: beside its sessions a client has an entry in the same table that says where its next connection
 * goes. Its tag is made of the client and the listener, with words of the key that no flow's tag uses, and so is the
 * same on every node; a backend of another pool than the listener's present one is as good as none.
 *
 * An entry begins as young: it lives and gives way as a young session does, so that a flood of SYNs costs no more than
 * it would. A session of the client that is established confirms it, and while packets come keeps it alive; from then
 * on it lives as long as the listener says and gives way as an established session does.
 */
#ifndef SPILLWAY_PERSISTENCE_H
#define SPILLWAY_PERSISTENCE_H

#include "select.h"
#include "session_insert.h"
#include "session_log.h"

static __always_inline bool is_persistent(const struct service *service)
{
	return service->timeout_ticks[SESSION_SOURCE & 3];
}

static __always_inline __u64 source_entry_tag(const struct packet *packet, const struct service *service,
					      const struct settings *settings)
{
	__u32 low = service->identity, high = service->identity >> 32;

	return mix(nh_source(packet, settings) + nh(low, high, settings->key + 10), settings);
}

/* The client's entry, expired or not. Fills source_tag. */
static __always_inline bool find_source(struct work *work, const struct service *service,
					const struct settings *settings, struct session_hit *hit)
{
	work->source_tag = source_entry_tag(&work->packet, service, settings);
	return session_find(work->source_tag, hit);
}

static __always_inline bool source_lasts(__u64 value, const struct service *service, __u32 tick)
{
	__u32 idle = session_idle(value, tick);

	return idle <= service->timeout_ticks[session_state(value) & 3] &&
	       idle <= service->timeout_ticks[SESSION_SOURCE & 3];
}

static __always_inline bool takes_new_flows(__u32 backend_id, const struct service *service)
{
	struct backend *backend = backend_up(backend_id);

	return backend && backend->pool == service->pool && !(backend->flags & BACKEND_DRAINING);
}

static __always_inline bool insert_source(struct work *work, __u32 state)
{
	const struct packet *packet = &work->packet;
	struct insertion *in = &work->insertion;

	in->tag = work->source_tag;
	in->value = session_value(work->backend_id, work->service_id, packet->tick, state);
	in->tick = packet->tick;
	in->detail = (struct session_detail){
		.client = packet->source,
		.service = work->service_id,
		.created_tick = packet->tick,
		.tag_check = work->source_tag >> 32,
		.protocol = packet->protocol,
	};
	if (!session_record(in))
		return false;
	if (state == SESSION_SOURCE)
		log_session(in->slot);
	return true;
}

/* Other nodes are told of entries that are confirmed: once, and when they name another backend. Lost races are left. */
static __always_inline void rewrite_source(const struct session_hit *hit, __u64 value)
{
	bool news =
		session_state(hit->value) != SESSION_SOURCE || session_backend(hit->value) != session_backend(value);

	if (__sync_val_compare_and_swap(&hit->slot->value, hit->value, value) != hit->value)
		return;
	if (news && session_state(value) == SESSION_SOURCE)
		log_session(hit->index);
}

/* Where this client went before, if that takes new flows; MAGLEV_NONE otherwise. */
__noinline __u32 persistent_backend(struct work *work)
{
	struct session_hit hit;
	struct settings *settings;
	struct service *service;
	__u32 zero = 0;

	if (!work)
		return MAGLEV_NONE;
	settings = bpf_map_lookup_elem(&settings_v2, &zero);
	service = service_at(work->service_id);
	if (!settings || !service || !find_source(work, service, settings, &hit) ||
	    !source_lasts(hit.value, service, work->packet.tick))
		return MAGLEV_NONE;
	return takes_new_flows(session_backend(hit.value), service) ? session_backend(hit.value) : MAGLEV_NONE;
}

/* A new flow went to work->backend_id: so does the client's next one. */
__noinline int remember_source(struct work *work)
{
	struct session_hit hit;
	struct settings *settings;
	struct service *service;
	__u32 zero = 0, state;

	if (!work)
		return 0;
	settings = bpf_map_lookup_elem(&settings_v2, &zero);
	service = service_at(work->service_id);
	if (!settings || !service)
		return 0;
	if (!find_source(work, service, settings, &hit))
		return insert_source(work, SESSION_SOURCE_YOUNG);
	state = source_lasts(hit.value, service, work->packet.tick) ? session_state(hit.value) : SESSION_SOURCE_YOUNG;
	rewrite_source(&hit, session_value(work->backend_id, work->service_id, work->packet.tick, state));
	return 1;
}

/*
 * An established session of the client has been seen: its entry is confirmed and lives on, whatever backend it names
 * by now. One that has given way is made again when the session is established, and then only.
 */
__noinline int confirm_source(struct work *work, bool newly_established)
{
	struct session_hit hit;
	struct settings *settings;
	struct service *service;
	__u32 zero = 0;

	if (!work)
		return 0;
	settings = bpf_map_lookup_elem(&settings_v2, &zero);
	service = service_at(work->service_id);
	if (!settings || !service)
		return 0;
	if (find_source(work, service, settings, &hit)) {
		rewrite_source(&hit, session_value(session_backend(hit.value), work->service_id, work->packet.tick,
						   SESSION_SOURCE));
		return 1;
	}
	if (!newly_established || !takes_new_flows(work->backend_id, service))
		return 0;
	return insert_source(work, SESSION_SOURCE);
}

#endif
