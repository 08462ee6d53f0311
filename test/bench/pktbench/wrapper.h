/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Shared between the BPF wrapper and the user-space driver. */
#ifndef PKTBENCH_WRAPPER_H
#define PKTBENCH_WRAPPER_H

#include <linux/types.h>

#define MAX_WORDS    16		/* header template: up to 128 bytes */
#define SCHED_SLOTS  (1u << 20) /* length of the precomputed flow schedule */
#define NVERDICTS    8		/* XDP actions 0..4, and these two: */
#define NOT_PREPARED 6		/* the frame could not be restored */
#define NOT_CALLED   7		/* the tail call failed */

enum { SIDE_BASE, SIDE_TARGET };
/* PAT_SPOOF: any address outside the clients' prefix, any port, new for each packet. */
enum { PAT_SEQ, PAT_RANDOM, PAT_SCHED, PAT_SPOOF };

/*
 * Constant during one load; lives in .rodata, so the verifier removes what a case does not use. Offsets are from the
 * start of the Ethernet frame.
 */
struct bench_cfg {
	__u64 tmpl[MAX_WORDS]; /* headers with address, port, checksums = 0 */
	__u32 words;	       /* 8-byte words of tmpl to write */
	__u32 len;	       /* canonical frame length */
	__u32 flows;	       /* number of distinct flows */
	__u32 addr_prefix;     /* client address = prefix | bits of the flow */
	__u32 off_addr;	       /* where the (last 4 bytes of the) address goes */
	__u32 off_port;	       /* where the client's port goes */
	__u32 off_ipck;	       /* IPv4 checksum that covers the address, or 0 */
	__u32 off_l4ck;	       /* TCP/UDP/ICMP checksum, or 0 */
	__u32 ip_sum;	       /* one's complement sum of the constant rest */
	__u32 l4_sum;
	__u32 addr_in_l4; /* the L4 checksum covers the address */
	__u32 fence;	  /* drain the store buffer before the target */
};

/* Mutable state of one side (baseline or target); lives in .bss. */
struct bench_side {
	__u64 base; /* address of the pristine frame; 0: unknown */
	__u64 here; /* scratch: where the frame starts now */
	__u64 rng;
	__u64 moved;   /* frames whose start the program had moved */
	__u64 resized; /* frames whose end it had moved */
	__u64 verdict[NVERDICTS];
	__u32 next; /* next flow, or next slot of the schedule */
	__u32 pattern;
} __attribute__((aligned(128)));

#endif
