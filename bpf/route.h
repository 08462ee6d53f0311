/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a flow to its backend: session first, and only a flow without one by its VIP. */
#ifndef SPILLWAY_ROUTE_H
#define SPILLWAY_ROUTE_H

#include "select.h"
#include "session_insert.h"

static __always_inline int record(struct work *work, __u64 value)
{
	const struct packet *packet = &work->packet;
	struct insertion *in = &work->insertion;

	in->tag = packet->tag;
	in->value = value;
	in->tick = packet->tick;
	in->detail = (struct session_detail){
		.client = packet->source,
		.client_port = (__be16)packet->ports,
		.service = work->service_id,
		.created_tick = packet->tick,
		.tag_check = packet->tag >> 32,
		.protocol = packet->protocol,
	};
	return session_record(in);
}

/* A SYN to a hashing listener leaves no session: every node would choose the same. */
static __always_inline bool wants_session(const struct work *work)
{
	if (work->packet.tcp_flags & TCP_SYN)
		return work->record_syn;
	return !(work->packet.tcp_flags & (TCP_FIN | TCP_RST));
}

/* A new flow, or one whose session is over or has lost its backend (hit->slot is then its slot). */
static __always_inline int choose(struct work *work, const struct settings *settings, const struct session_hit *hit)
{
	const struct packet *packet = &work->packet;
	int reason, id = service_of(packet);
	struct service *service;
	__u32 service_id = id;
	__u64 value;

	if (id <= NO_LISTENER)
		return id == NO_VIP ? PASS_NOT_VIP : DROP_NO_LISTENER;
	work->service_id = service_id;
	service = bpf_map_lookup_elem(&services_v2, &service_id);
	if (!service)
		return DROP_INTERNAL;
	if (service->flags & SERVICE_STOPPED)
		return DROP_STOPPED;
	reason = select_backend(work, settings, service);
	if (reason != VERDICT_NONE)
		return reason;

	value = session_value(work->backend_id, service_id, packet->tick, SESSION_YOUNG);
	if (hit->slot) {
		__u32 state = packet->tcp_flags & (TCP_FIN | TCP_RST) ? SESSION_CLOSING : SESSION_YOUNG;

		value = session_value(work->backend_id, service_id, packet->tick, state);
		work->tracked = __sync_val_compare_and_swap(&hit->slot->value, hit->value, value) == hit->value;
		work->fresh = work->tracked;
		count_table(TABLE_RESELECTED, 1);
	} else if (wants_session(work)) {
		work->fresh = work->tracked = record(work, value);
	}
	return VERDICT_NONE;
}

/* Does the session found still say where this packet goes? */
static __always_inline bool session_holds(const struct session_hit *hit, const struct packet *packet)
{
	bool new_connection = packet->tcp_flags & TCP_SYN && session_state(hit->value) == SESSION_CLOSING;

	if (new_connection)
		return false;
	return session_idle(hit->value, packet->tick) < REFRESH_TICKS || !session_expired(hit->value, packet->tick);
}

/* Fills backend_id and service_id of `work`, or gives the reason why the packet goes nowhere. */
static __always_inline int route(struct work *work, const struct settings *settings)
{
	const struct packet *packet = &work->packet;
	struct session_hit hit;

	if (session_find(packet->tag, &hit) && session_holds(&hit, packet) && backend_up(session_backend(hit.value))) {
		work->backend_id = session_backend(hit.value);
		work->service_id = session_service(hit.value);
		work->tracked = true;
		session_touch(&hit, packet);
		return VERDICT_NONE;
	}
	return choose(work, settings, &hit);
}

#endif
