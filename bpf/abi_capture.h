/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Captured packets. Only the copy of the program that is loaded for a capture knows of any of this. */
#ifndef SPILLWAY_ABI_CAPTURE_H
#define SPILLWAY_ABI_CAPTURE_H

#include "abi_types.h"

#define CAPTURE_ANY_REASON 0xffff
/* Of a captured packet that went to a backend. */
#define CAPTURE_FORWARDED 0xffff
#define CAPTURE_MAX_BYTES 1520

/* What is captured: everything that is set must match. Element 0 of capture_filter. */
struct capture_filter {
	struct address client, client_mask; /* mask 0: any */
	struct address vip, vip_mask;
	__be16 client_port; /* 0: any; of ICMP and fragments, which have none, none matches */
	__be16 vip_port;
	__u8 protocol; /* 0: any */
	__u8 drops_only;
	__u16 reason;	   /* enum reason, or CAPTURE_ANY_REASON */
	__u32 snap_length; /* bytes of each frame, up to CAPTURE_MAX_BYTES */
	__u32 rate;	   /* packets of each CPU and tick; the rest is counted */
	__u32 until;	   /* 32-bit tick, moved on by the agent: without one nothing is captured */
	__u32 pad;
};

/* A record of the ring `captures`; as long as `captured` says. */
struct captured_packet {
	__u64 monotonic_ns;
	__u32 interface_index;
	__u32 length;	/* of the frame */
	__u16 captured; /* bytes of it that follow */
	__u16 reason;	/* enum reason, or CAPTURE_FORWARDED */
	__u16 service;	/* 0: none */
	__u16 backend;	/* 0: none */
	__u8 frame[CAPTURE_MAX_BYTES];
};

/* Per CPU. */
struct capture_state {
	__u64 suppressed; /* matched, but above the rate, or the ring was full */
	__u32 tick;
	__u32 in_tick;
};

#endif
