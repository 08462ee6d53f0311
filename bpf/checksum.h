/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Internet checksums (RFC 1071): of a few words, of what has changed (RFC 1624), and of long packets by a helper. */
#ifndef SPILLWAY_CHECKSUM_H
#define SPILLWAY_CHECKSUM_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* bpf_csum_diff takes no more at once. */
#define SUM_AT_ONCE 512

static __always_inline __u16 fold_sum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The checksum after the word `from` has become `to`. One that was wrong stays wrong. */
static __always_inline __u16 replace_word(__u16 check, __u16 from, __u16 to)
{
	return fold_sum((__u16)~check + (__u16)~from + to);
}

/* `bytes` is a constant, a multiple of 4. */
static __always_inline __u32 sum_bytes(void *from, __u32 bytes, __u32 seed)
{
#pragma unroll
	for (int i = 0; i < 4 && bytes > SUM_AT_ONCE; i++) {
		seed = bpf_csum_diff(NULL, 0, from, SUM_AT_ONCE, seed);
		from += SUM_AT_ONCE;
		bytes -= SUM_AT_ONCE;
	}
	return bpf_csum_diff(NULL, 0, from, bytes, seed);
}

#endif
