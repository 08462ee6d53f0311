/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From a flow to its backend: session first, and only a flow without one by its VIP. */
#ifndef SPILLWAY_ROUTE_H
#define SPILLWAY_ROUTE_H

#include "admit.h"
#include "turn.h"
#include "persistence.h"
#include "session_log.h"
#include "quic.h"

#define VERDICT_CONTINUE (-9) /* not decided here */

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

/* Of a TCP packet in the middle of a connection only the hash can tell where it went before. */
static __always_inline bool begins_flow(const struct packet *packet)
{
	return packet->protocol != IPPROTO_TCP || packet->tcp_flags & TCP_SYN;
}

/* Makes the session that remembers the choice, or makes the one that is over it: fills tracked and fresh. */
static __always_inline void keep_choice(struct work *work, const struct session_hit *hit)
{
	const struct packet *packet = &work->packet;
	__u32 state = SESSION_YOUNG;
	__u64 value;

	if (hit->slot) {
		if (packet->tcp_flags & (TCP_FIN | TCP_RST))
			state = SESSION_CLOSING;
		value = session_value(work->backend_id, work->service_id, packet->tick, state);
		work->tracked = __sync_val_compare_and_swap(&hit->slot->value, hit->value, value) == hit->value;
		work->fresh = work->tracked;
		count_table(TABLE_RESELECTED, 1);
		/* The first packet of a flow proves nothing, so it is told only if other nodes know it elsewhere. */
		if (work->tracked && (!begins_flow(packet) || session_backend(hit->value) != work->backend_id))
			log_session(hit->index);
	} else if (wants_session(work)) {
		value = session_value(work->backend_id, work->service_id, packet->tick, state);
		work->fresh = work->tracked = record(work, value);
		if (work->tracked && !begins_flow(packet))
			log_session(work->insertion.slot);
	}
}

static __always_inline int select_backend(struct work *work, const struct settings *settings,
					  const struct service *service)
{
	struct pool *pool = pool_at(work->pool_id);

	if (!pool || !(pool->flags & POOL_IN_USE))
		return DROP_INTERNAL;
	if (is_unhashed(service))
		return select_unhashed(work, !begins_flow(&work->packet));
	if (service->schedule == SCHEDULE_SOURCE)
		return select_hashed(work, pool, source_fingerprint(&work->packet, settings));
	/* As TCH, so that a listener may go over from one to the other. */
	if (service->schedule == SCHEDULE_QUIC)
		return select_hashed(work, pool, quic_fallback_tag(work->packet.tag));
	return select_hashed(work, pool, work->packet.tag);
}

/* A new flow, or one whose session is over or has lost its backend (hit->slot is then its slot). */
static __always_inline int choose(struct work *work, const struct settings *settings, const struct service *service,
				  const struct session_hit *hit)
{
	int reason = VERDICT_NONE;

	work->pool_id = service->pool;
	work->record_syn = is_unhashed(service) || is_persistent(service);
	work->backend_id = is_persistent(service) ? persistent_backend(work) : MAGLEV_NONE;
	work->remembered = work->backend_id != MAGLEV_NONE;
	if (!work->remembered)
		reason = select_backend(work, settings, service);
	if (reason != VERDICT_NONE)
		return reason;
	keep_choice(work, hit);
	if (is_guarded(service))
		count_choice(work, service, hit);
	if (is_unhashed(service)) {
		if (!work->tracked && !work->remembered && begins_flow(&work->packet))
			reason = select_unhashed(work, true);
		else if (work->tracked && service->schedule == SCHEDULE_LEAST)
			count_load(work->backend_id, 1);
	}
	if (is_persistent(service) && wants_session(work))
		remember_source(work);
	return reason;
}

/* What depends on a session that has just been written again: other nodes, where its client goes, its backend's load.
 */
static __always_inline void after_touch(struct work *work, const struct session_hit *hit)
{
	struct service *service = service_at(work->service_id);
	__u32 before = session_state(hit->value), after = state_after(before, &work->packet);

	if (after != before)
		log_session(hit->index);
	if (!service)
		return;
	if (after == SESSION_CLOSING && before != SESSION_CLOSING) {
		if (is_guarded(service))
			count_sessions(service, false, true);
		if (service->schedule == SCHEDULE_LEAST)
			count_load(work->backend_id, -1);
	}
	if (after == SESSION_ESTABLISHED && is_persistent(service))
		confirm_source(work, before != SESSION_ESTABLISHED);
}

/* Does the session found still say where this packet goes? */
static __always_inline bool session_holds(const struct session_hit *hit, const struct packet *packet)
{
	bool new_connection = packet->tcp_flags & TCP_SYN && session_state(hit->value) == SESSION_CLOSING;

	if (new_connection)
		return false;
	return session_idle(hit->value, packet->tick) < REFRESH_TICKS || !session_expired(hit->value, packet->tick);
}

/* Is there a session that is not over? What was found is in `hit`, even where it says nothing any more. */
static __always_inline bool is_known(const struct packet *packet, struct session_hit *hit)
{
	return session_find(packet->tag, hit) && session_holds(hit, packet);
}

/* Where the session says. False: that backend is down. */
static __always_inline bool follow_session(struct work *work, const struct session_hit *hit)
{
	if (!backend_up(session_backend(hit->value)))
		return false;
	work->backend_id = session_backend(hit->value);
	work->service_id = session_service(hit->value);
	work->tracked = true;
	if (session_touch(hit, &work->packet))
		after_touch(work, hit);
	return true;
}

/*
 * Where its connection id says; that is no new flow, so of what guards the listener only the access list is asked.
 * VERDICT_CONTINUE: it has none that says anything.
 */
static __always_inline int route_by_id(struct xdp_md *ctx, struct work *work, const struct service *service)
{
	work->backend_id = quic_backend(ctx, work);
	if (work->backend_id == MAGLEV_NONE)
		return VERDICT_CONTINUE;
	if (service->access && access_denied(&work->packet, service->access))
		return refuse(DROP_ACCESS_DENIED, service->listener_limit);
	return VERDICT_NONE;
}

/* Fills backend_id and service_id of `work`, or gives the reason why the packet goes nowhere. */
static __always_inline int route(struct xdp_md *ctx, struct work *work, const struct settings *settings)
{
	struct session_hit hit;
	bool known = is_known(&work->packet, &hit);
	struct service *service;
	int id, reason;

	if (known && follow_session(work, &hit))
		return VERDICT_NONE;
	id = service_of(&work->packet);
	if (id <= NO_LISTENER)
		return id == NO_VIP ? PASS_NOT_VIP : DROP_NO_LISTENER;
	work->service_id = id;
	service = service_at(work->service_id);
	if (!service)
		return DROP_INTERNAL;
	if (service->flags & SERVICE_STOPPED)
		return DROP_STOPPED;
	if (service->schedule == SCHEDULE_QUIC) {
		reason = route_by_id(ctx, work, service);
		if (reason != VERDICT_CONTINUE)
			return reason;
		work->packet.tag = quic_fallback_tag(work->packet.tag);
		known = is_known(&work->packet, &hit);
		if (known && follow_session(work, &hit))
			return VERDICT_NONE;
	}
	/* A live session whose backend is down is no new flow. */
	if (is_guarded(service) && !known) {
		reason = admit(work, service);
		if (reason != VERDICT_NONE)
			return reason;
	}
	return choose(work, settings, service, &hit);
}

#endif
