/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the BPF programs that make packets have in common: fresh headers for a flow, from the template of a case. */
#ifndef PKTBENCH_HEADERS_H
#define PKTBENCH_HEADERS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "wrapper.h"

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* address and port in network order */
static __always_inline int put_headers(struct xdp_md *ctx, const volatile struct bench_cfg *cfg, __u32 address,
				       __u16 port)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 i;

	if (data + cfg->words * 8 > end)
		return -1;
#pragma unroll
	for (i = 0; i < MAX_WORDS; i++)
		if (i < cfg->words)
			((__u64 *)data)[i] = cfg->tmpl[i];
	*(__u32 *)(data + cfg->off_addr) = address;
	*(__u16 *)(data + cfg->off_port) = port;
	address = (address & 0xffff) + (address >> 16);
	if (cfg->off_ipck)
		*(__u16 *)(data + cfg->off_ipck) = fold(cfg->ip_sum + address);
	if (cfg->off_l4ck)
		*(__u16 *)(data + cfg->off_l4ck) = fold(cfg->l4_sum + port + (cfg->addr_in_l4 ? address : 0));
	return 0;
}

/*
 * Distinct flows get distinct addresses (an odd multiplier permutes 24 bits), scattered, and a port in 32768..65535.
 */
static __always_inline int write_headers(struct xdp_md *ctx, const volatile struct bench_cfg *cfg, __u32 flow)
{
	__u32 hash = flow * 0x9e3779b1;

	return put_headers(ctx, cfg, __builtin_bswap32(cfg->addr_prefix | (hash & 0xffffff)),
			   __builtin_bswap16(0x8000 | (hash >> 17)));
}

static __always_inline __u64 next_random(__u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 32;
}

#endif
