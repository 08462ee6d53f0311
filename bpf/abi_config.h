/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Start-up switches: rodata, so that the verifier removes what is off. */
#ifndef SPILLWAY_ABI_CONFIG_H
#define SPILLWAY_ABI_CONFIG_H

#include <linux/types.h>

struct lb_config {
	__u32 buckets;		/* of the session table; at least 2 */
	__u32 frags;		/* loaded with BPF_F_XDP_HAS_FRAGS: frames may not be linear */
	__u32 capture;		/* a copy of the program for the time of a capture: capture.h */
	__u32 fragment_buckets; /* of the table of first fragments */
	__u32 source_cells;	/* of the limits per client; at least 2 */
};

/* Argument of clock.bpf.c. */
struct clock_reading {
	__u64 jiffies;
	__u64 monotonic_ns;
};

/* Probes of the agent's health checks are marked; the tc program sends them the way traffic goes. */
#define PROBE_MARK	0x53570000u /* upper half "SW", lower half the backend's id */
#define PROBE_MARK_MASK 0xffff0000u

#endif
