/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records of the ring buffer `events`. */
#ifndef SPILLWAY_ABI_EVENTS_H
#define SPILLWAY_ABI_EVENTS_H

#include "abi_types.h"

enum event_kind {
	EVENT_DROP = 1,		  /* a sample: the first of its reason on a CPU in each tick */
	EVENT_EARLY_FRAGMENT = 2, /* a fragment that came before its datagram's first one, whole */
};

#define DROP_SAMPLE_BYTES 128

struct drop_event {
	__u16 kind;
	__u16 reason; /* enum reason */
	__u32 tick;
	struct address source;
	struct address destination;
	__be16 source_port; /* 0 when not known */
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
	__u32 length;
	__u32 captured; /* bytes of the frame that follow */
	__u8 frame[DROP_SAMPLE_BYTES];
};

#define EARLY_BYTES 2048

struct early_fragment_event {
	__u16 kind;
	__u16 length; /* of the frame */
	__u32 tick;
	__u64 tag;     /* of its datagram in the table of first fragments */
	__u32 ifindex; /* that it came in by */
	__u32 queue;
	__u8 frame[EARLY_BYTES];
};

#endif
