/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map, with its layout version in its name; pinned without the suffix. max_entries marked "set at load" follow
 * the agent's limits.
 */
#ifndef SPILLWAY_MAPS_H
#define SPILLWAY_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi_types.h"
#include "abi_reasons.h"
#include "abi_events.h"
#include "abi_config.h"

#define ARRAY_MAP(name, value_type, entries)                                                                           \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                      \
		__uint(max_entries, entries);                                                                          \
		__type(key, __u32);                                                                                    \
		__type(value, value_type);                                                                             \
		__uint(map_flags, BPF_F_MMAPABLE);                                                                     \
	} name SEC(".maps")

#define CPU_ARRAY_MAP(name, value_type, entries)                                                                       \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                                                               \
		__uint(max_entries, entries);                                                                          \
		__type(key, __u32);                                                                                    \
		__type(value, value_type);                                                                             \
	} name SEC(".maps")

#ifndef ONLY_BACKENDS
const volatile struct lb_config config = {.bucket_mask = 1};

ARRAY_MAP(settings_v1, struct settings, 1);
ARRAY_MAP(vip_filter_v1, struct vip_filter, 1);
ARRAY_MAP(services_v1, struct service, 1);	   /* set at load */
ARRAY_MAP(pools_v1, struct pool, 1);		   /* set at load */
ARRAY_MAP(maglev_v1, struct maglev_table, 1);	   /* set at load */
ARRAY_MAP(sessions_v1, struct session_bucket, 2);  /* set at load: a power of two, at least 2 */
ARRAY_MAP(details_v1, struct session_detail, 8);   /* set at load: buckets * 4 */
CPU_ARRAY_MAP(svc_counters_v1, struct traffic, 1); /* set at load: as services */
CPU_ARRAY_MAP(be_counters_v1, struct traffic, 1);  /* set at load: as backends */
CPU_ARRAY_MAP(counters_v1, struct lb_counters, 1);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct vip_key);
	__type(value, struct vip_value);
} vips_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events_v1 SEC(".maps");

/* Not pinned: what a CPU remembers between packets. */
struct scratch {
	__u32 sampled_tick[REASON_COUNT];
	__u32 room_failures; /* searches for room that failed in a row */
	__u32 room_skip;     /* searches still to leave out */
};
CPU_ARRAY_MAP(scratch_v1, struct scratch, 1);
#endif

ARRAY_MAP(backends_v1, struct backend, 1); /* set at load */

#endif
