/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * May this flow begin? Asked of what has no session. A flow is charged to all its limits or, refused, to none.
 *
 * A SYN to a hashing listener leaves no session, and a flow for which the table has no room gets none at all: the
 * packet that was let in leaves a receipt, and what finds one has been charged. So a flow without a session goes on,
 * though the limit be used up, while its packets are not a minute apart. Whatever else comes without a session is a new
 * flow: another SYN of the same flow, an ACK out of the blue.
 */
#ifndef SPILLWAY_ADMIT_H
#define SPILLWAY_ADMIT_H

#include "access.h"
#include "source.h"

/* A power of two: so many flows can be without a session, less those that meet in a cell (they are charged twice). */
#define RECEIPTS      (1 << 18)
#define RECEIPT_TICKS 240
#define RECEIPT_MASK  0xffffull

ARRAY_MAP(receipts_v2, __u64, RECEIPTS); /* not pinned: a new program charges what is without a session twice */

/* The upper 48 bits of the tag, and the tick. */
static __always_inline __u64 *receipt_cell(__u64 tag)
{
	__u32 index = tag & (RECEIPTS - 1);

	return bpf_map_lookup_elem(&receipts_v2, &index);
}

static __always_inline void write_receipt(const struct packet *packet)
{
	__u64 *cell = receipt_cell(packet->tag);

	if (cell)
		ONCE(*cell) = (packet->tag & ~RECEIPT_MASK) | (packet->tick & RECEIPT_MASK);
}

/* 0: there is none. */
static __always_inline __u64 find_receipt(const struct packet *packet)
{
	__u64 *cell = receipt_cell(packet->tag), held = cell ? ONCE(*cell) : 0;

	if ((held ^ packet->tag) & ~RECEIPT_MASK || ((packet->tick - held) & RECEIPT_MASK) > RECEIPT_TICKS)
		return 0;
	return held;
}

/* Its flow has a session now. */
static __always_inline void use_receipt(const struct packet *packet)
{
	__u64 *cell = receipt_cell(packet->tag), receipt = find_receipt(packet);

	if (cell && receipt)
		__sync_val_compare_and_swap(cell, receipt, 0);
}

static __always_inline int refuse(enum reason reason, __u32 id)
{
	struct refusals *refusals = bpf_map_lookup_elem(&refusals_v2, &id);
	__u32 slot = reason - DROP_ACCESS_DENIED;

	if (refusals && slot < REFUSAL_COUNT)
		refusals->counts[slot]++;
	return reason;
}

static __always_inline struct limit *limit_set(__u32 id)
{
	struct limit *limit = limit_at(id);

	return limit && limit->flags & LIMIT_SET ? limit : NULL;
}

/* Why this limit has no room for the flow. Changes nothing. `begun`: a receipt says that its SYN was let in. */
static __always_inline int limit_refusal(const struct packet *packet, __u32 id, const struct settings *settings,
					 bool begun, __u64 now)
{
	const struct limit *limit = limit_set(id);
	int reason;

	if (!limit)
		return VERDICT_NONE;
	if (sessions_full(limit, begun))
		return DROP_SESSION_LIMIT;
	if (begun)
		return VERDICT_NONE;
	reason = over_limit(limit, packet->tick);
	if (reason != VERDICT_NONE)
		return reason;
	if (source_exceeded(packet, id, limit, settings, now))
		return DROP_SOURCE_RATE;
	return rate_exceeded(limit, now) ? DROP_CONNECTION_RATE : VERDICT_NONE;
}

static __always_inline int charge(const struct packet *packet, __u32 id, const struct settings *settings, __u64 now)
{
	struct limit *limit = limit_set(id);

	if (!limit)
		return VERDICT_NONE;
	if (!charge_rate(limit, now))
		return refuse(DROP_CONNECTION_RATE, id);
	charge_source(packet, id, limit, settings, now);
	return VERDICT_NONE;
}

/* One limit, asked and charged apart, so that a flow which the other refuses is charged to neither. */
enum admission_step { ASK, ASK_BEGUN, CHARGE };

__noinline int admission(struct work *work, __u32 id, __u32 step)
{
	__u32 zero = 0;
	struct settings *settings = bpf_map_lookup_elem(&settings_v2, &zero);
	int reason;

	if (!work || !settings)
		return DROP_INTERNAL;
	if (step == CHARGE)
		return charge(&work->packet, id, settings, limit_time(settings));
	reason = limit_refusal(&work->packet, id, settings, step == ASK_BEGUN, limit_time(settings));
	return reason == VERDICT_NONE ? reason : refuse(reason, id);
}

/* Whether anything at all is asked of new flows: all that a listener without lists and limits pays for. */
static __always_inline bool is_guarded(const struct service *service)
{
	return service->listener_limit | service->balancer_limit;
}

/* Is anything limited here? A refusal by an access list alone has its counter in a limit that sets none. */
static __always_inline bool is_limited(const struct service *service)
{
	return limit_set(service->listener_limit) || limit_set(service->balancer_limit);
}

/* Of the service of `work`. VERDICT_NONE, or why the flow may not begin, which is counted where it was refused. */
static __always_inline int admit(struct work *work, const struct service *service)
{
	const struct packet *packet = &work->packet;
	__u32 listener = service->listener_limit, balancer = service->balancer_limit;
	bool syn = packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_SYN, begun;
	int reason;

	if (service->access && access_denied(packet, service->access))
		return refuse(DROP_ACCESS_DENIED, listener);
	if (!is_limited(service))
		return VERDICT_NONE;
	begun = !syn && find_receipt(packet);
	reason = admission(work, listener, begun ? ASK_BEGUN : ASK);
	if (reason == VERDICT_NONE)
		reason = admission(work, balancer, begun ? ASK_BEGUN : ASK);
	if (reason != VERDICT_NONE || begun)
		return reason;
	reason = admission(work, listener, CHARGE);
	return reason == VERDICT_NONE ? admission(work, balancer, CHARGE) : reason;
}

/* Once the flow has a session, or goes without. `hit`: the one in whose place it is. */
static __always_inline void count_choice(const struct work *work, const struct service *service,
					 const struct session_hit *hit)
{
	const struct packet *packet = &work->packet;
	bool closing = hit->slot && packet->tcp_flags & (TCP_FIN | TCP_RST),
	     live = hit->slot && counts_as_live(hit->value);

	if (work->tracked)
		count_sessions(service, !closing && !live, closing && live);
	if (hit->slot || !is_limited(service))
		return;
	if (work->tracked)
		use_receipt(packet);
	else
		write_receipt(packet);
}

#endif
