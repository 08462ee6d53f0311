/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a CPU knows of the packet under way on the long way, and what it remembers between packets. In a map, for the
 * stack of a chain of calls is 512 bytes; a CPU is not given another packet before it is done with one.
 */
#ifndef SPILLWAY_WORK_H
#define SPILLWAY_WORK_H

#include "packet.h"

struct insertion {
	__u64 tag;
	__u64 value;
	__u32 tick;
	__u32 slot; /* where it went */
	struct session_detail detail;
};

/* The best of those compared so far (turn.h). */
struct least {
	__u32 slot;
	__u32 backend;
	__s64 sessions;
	__s64 weight;
};

/* What begins a QUIC connection id (quic.h): its first octet, and what follows that; deciphered in place. */
struct quic_id {
	__u8 block[24];
	__u8 first;
	__u8 bytes; /* known of `block` */
	__u8 pad[6];
} __attribute__((aligned(8)));

struct work {
	struct packet packet;
	__u32 service_id;
	__u32 pool_id;
	__u32 backend_id;
	__u32 reason;	  /* while a capture runs: why the packet ended, or CAPTURE_FORWARDED */
	__u64 source_tag; /* of the client's entry (persistence.h) */
	bool fresh;	  /* a session was made */
	bool tracked;	  /* there is one */
	bool record_syn;  /* the SYN, too, needs one */
	bool remembered;  /* the client's entry chose */
	__u8 option_at;	  /* segment.h: of the TCP option looked at */
	__u8 pad[3];
	struct insertion insertion;
	struct least least;
	struct quic_id quic;

	__u32 sampled_tick[REASON_COUNT];
	__u32 room_failures; /* searches for room that failed in a row */
	__u32 room_skip;     /* searches still to leave out */
};
CPU_ARRAY_MAP(work_v2, struct work, 1); /* not pinned */

static __always_inline struct work *this_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&work_v2, &zero);
}

#endif
