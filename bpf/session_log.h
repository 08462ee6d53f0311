/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What other nodes should know of, as it happens: struct session_log has the entries. Written on the long way alone;
 * what the short way changes is when a session was last seen, which the agent finds by walking the table.
 */
#ifndef SPILLWAY_SESSION_LOG_H
#define SPILLWAY_SESSION_LOG_H

#include "session.h"

/* The slot holds what is to be told: the reader looks there once it sees the entry. */
__noinline int log_session(__u32 slot)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct session_log *log = bpf_map_lookup_elem(&session_log_v3, &cpu);
	__u64 n;

	if (!log)
		return 0;
	n = __sync_fetch_and_add(&log->head, 1);
	ONCE(log->entries[n & (SESSION_LOG_ENTRIES - 1)]) = (__u64)slot << 32 | (__u32)(n + 1);
	return 0;
}

#endif
