/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the data path does of its own accord it does so often in each tick on the whole node, not on each CPU: one
 * client's packets all come by one. Costs no more than one write for each that is allowed: once spent, all CPUs only
 * read, so a flood does not fight over the line.
 */
#ifndef SPILLWAY_ALLOWANCE_H
#define SPILLWAY_ALLOWANCE_H

#include "maps.h"

enum allowance_kind { ALLOW_ECHO, ALLOW_ERROR, ALLOW_EARLY_FRAGMENT, ALLOWANCES };

struct allowance {
	__u32 tick;
	__u32 spent;   /* in this tick */
	__u32 pad[14]; /* a cache line each */
};
ARRAY_MAP(allowances_v2, struct allowance, ALLOWANCES); /* not pinned */

static __always_inline bool spend(enum allowance_kind kind, __u32 per_tick, __u32 tick)
{
	__u32 key = kind, then;
	struct allowance *allowance = bpf_map_lookup_elem(&allowances_v2, &key);

	if (!allowance)
		return false;
	then = *(volatile __u32 *)&allowance->tick;
	/* Two CPUs at a tick's edge may give one more or one less. */
	if ((__s32)(tick - then) > 0 && __sync_val_compare_and_swap(&allowance->tick, then, tick) == then)
		__sync_lock_test_and_set(&allowance->spent, 0);
	if (*(volatile __u32 *)&allowance->spent >= per_tick)
		return false;
	return __sync_fetch_and_add(&allowance->spent, 1) < per_tick;
}

#endif
