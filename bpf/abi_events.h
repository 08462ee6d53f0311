/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records of the ring buffer `events`. */
#ifndef SPILLWAY_ABI_EVENTS_H
#define SPILLWAY_ABI_EVENTS_H

#include "abi_types.h"

enum event_kind {
	EVENT_DROP = 1, /* a sample: the first of its reason on a CPU in each tick */
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

#endif
