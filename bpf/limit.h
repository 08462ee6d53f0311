/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Limits of new flows: of a listener, and of its LoadBalancer. Rates are held by GCRA (ITU-T I.371): one word says
 * until when the sessions made so far use up the rate, and another is let in unless that is more than the burst ahead.
 * What is refused writes nothing, so a flood costs loads of lines that all CPUs share.
 */
#ifndef SPILLWAY_LIMIT_H
#define SPILLWAY_LIMIT_H

#include "session.h"

/* Time in parts of a tick. Comes round; only differences count. It stands still where ticks do. */
static __always_inline __u64 limit_time(const struct settings *settings)
{
	return settings->tick_shift > LIMIT_TIME_BITS ? 0 : bpf_jiffies64() << (LIMIT_TIME_BITS - settings->tick_shift);
}

static __always_inline __u64 later(__u64 a, __u64 b)
{
	return (__s64)(a - b) > 0 ? a : b;
}

/* busy_until after one more session. */
static __always_inline __u64 busy_after(__u64 busy_until, __u64 interval, __u64 now)
{
	return later(busy_until, now) + interval;
}

static __always_inline bool too_far(__u64 busy_until, __u64 burst, __u64 now)
{
	return (__s64)(busy_until - now - burst) > 0;
}

static __always_inline struct limit *limit_at(__u32 id)
{
	return id ? bpf_map_lookup_elem(&limits_v2, &id) : NULL;
}

static __always_inline __s64 live_sessions(const struct limit *limit)
{
	return limit->base + ONCE(limit->made) - ONCE(limit->ended);
}

/* A handshake that began below the limit may end a quarter above it: refusing its ACK would leave half a connection. */
static __always_inline bool sessions_full(const struct limit *limit, bool begun)
{
	__u32 most = limit->sessions + (begun ? limit->sessions / 4 : 0);

	return limit->sessions && live_sessions(limit) >= most;
}

/* What the agent measured; without an agent it grows stale and stops to count. */
static __always_inline int over_limit(const struct limit *limit, __u32 tick)
{
	__u64 over = ONCE(limit->over);

	if (!(over >> 32) || tick - (__u32)over > LIMIT_STALE_TICKS)
		return VERDICT_NONE;
	return over >> 32 & LIMIT_OVER_BITS ? DROP_BANDWIDTH_LIMIT : DROP_PACKET_LIMIT;
}

static __always_inline bool rate_exceeded(const struct limit *limit, __u64 now)
{
	return limit->interval && too_far(busy_after(ONCE(limit->busy_until), limit->interval, now), limit->burst, now);
}

/* False when others were faster and the limit is used up meanwhile. */
static __always_inline bool charge_rate(struct limit *limit, __u64 now)
{
	if (!limit->interval)
		return true;
	for (int i = 0; i < 8; i++) {
		__u64 before = ONCE(limit->busy_until), after = busy_after(before, limit->interval, now);

		if (too_far(after, limit->burst, now))
			return false;
		if (__sync_val_compare_and_swap(&limit->busy_until, before, after) == before)
			return true;
	}
	return false;
}

static __always_inline void count_sessions(const struct service *service, bool made, bool ended)
{
	__u32 ids[] = {service->listener_limit, service->balancer_limit};

#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct limit *limit = limit_at(ids[i]);

		if (!limit || !limit->sessions)
			continue;
		if (made)
			__sync_fetch_and_add(&limit->made, 1);
		if (ended)
			__sync_fetch_and_add(&limit->ended, 1);
	}
}

/* A session counts while it is young or established. */
static __always_inline bool counts_as_live(__u64 value)
{
	__u32 state = session_state(value);

	return state == SESSION_YOUNG || state == SESSION_ESTABLISHED;
}

#endif
