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
#include "abi_capture.h"
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
const volatile struct lb_config config = {.buckets = 2, .source_cells = 2};

ARRAY_MAP(settings_v2, struct settings, 1);
ARRAY_MAP(vip_filter_v2, struct vip_filter, 1);
ARRAY_MAP(services_v2, struct service, 1);    /* set at load */
ARRAY_MAP(pools_v2, struct pool, 1);	      /* set at load */
ARRAY_MAP(maglev_v2, struct maglev_table, 1); /* set at load */
ARRAY_MAP(turns_v2, struct turn, 1);	      /* set at load: as pools */
ARRAY_MAP(loads_v2, struct load, 1);	      /* set at load: as backends */
ARRAY_MAP(quic_routes_v2, struct quic_routing, 256);
ARRAY_MAP(aes_v2, struct aes_tables, 1);
ARRAY_MAP(sessions_v2, struct session_bucket, 2);  /* set at load */
ARRAY_MAP(details_v2, struct session_detail, 8);   /* set at load: buckets * 4 */
ARRAY_MAP(session_log_v3, struct session_log, 1);  /* set at load: possible CPUs */
ARRAY_MAP(fragments_v2, struct session_bucket, 1); /* set at load */
CPU_ARRAY_MAP(svc_counters_v2, struct traffic, 1); /* set at load: as services */
CPU_ARRAY_MAP(be_counters_v2, struct traffic, 1);  /* set at load: as backends */
CPU_ARRAY_MAP(counters_v2, struct lb_counters, 1);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load */
	__type(key, struct vip_key);
	__type(value, struct vip_value);
} vips_v2 SEC(".maps");

/* Which backend a server id names. Memory for what is in it alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* set at load: as backends */
	__type(key, struct quic_server_key);
	__type(value, struct quic_server);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} quic_servers_v2 SEC(".maps");
ARRAY_MAP(limits_v2, struct limit, 1);		/* set at load */
ARRAY_MAP(sources_v2, __u64, 2);		/* set at load: a power of two */
CPU_ARRAY_MAP(refusals_v2, struct refusals, 1); /* set at load: as limits */

/* Memory is taken as entries come: the value says nothing, being there does. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1); /* set at load */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct access_key);
	__type(value, __u32);
} access_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events_v2 SEC(".maps");

#endif

ARRAY_MAP(backends_v2, struct backend, 1); /* set at load */
ARRAY_MAP(egresses_v2, struct egress, MAX_EGRESSES);

#endif
