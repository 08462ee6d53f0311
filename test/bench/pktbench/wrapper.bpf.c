// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Gives an XDP program a fresh packet on every repeat of BPF_PROG_TEST_RUN.
 *
 * The kernel does not reset the buffer between repeats, so a program that encapsulates would see its own output as
 * its next input. Each run here
 *   1. moves the start and the end of the frame back to where they were,
 *   2. rewrites the headers from a template, for the next flow,
 *   3. tail-calls the program under test from a subprogram, so that control comes back here with the verdict, which
 *      is counted.
 * `bench_base` does the same around a program that only returns XDP_TX: its cost is what the driver subtracts.
 */
#include "headers.h"

const volatile struct bench_cfg cfg;
struct bench_side sides[2];
__u32 sched[SCHED_SLOTS];

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

static __always_inline __u32 next_flow(struct bench_side *s)
{
	__u32 n;

	switch (s->pattern) {
	case PAT_RANDOM:
		return (next_random(&s->rng) * cfg.flows) >> 32;
	case PAT_SCHED:
		n = s->next++;
		return sched[n & (SCHED_SLOTS - 1)];
	default:
		n = s->next;
		s->next = n + 1 == cfg.flows ? 0 : n + 1;
		return n;
	}
}

/* Moves start and end of the frame back. */
static __always_inline int restore(struct xdp_md *ctx, struct bench_side *s)
{
	/*
	 * A packet pointer becomes a number by a trip through memory (which CAP_PERFMON allows); `volatile` keeps the
	 * compiler from shortening it.
	 */
	volatile __u64 *here = &s->here;
	__u64 now;
	int delta;

	*here = (__u64)(long)ctx->data;
	now = *here;
	if (!s->base)
		s->base = now;
	delta = s->base - now;
	if (delta)
		s->moved++;
	/* Always called, even for 0: both sides shall pay for it. */
	if (bpf_xdp_adjust_head(ctx, delta))
		return -1;
	delta = (int)cfg.len - (int)((long)ctx->data_end - (long)ctx->data);
	if (delta) {
		s->resized++;
		if (bpf_xdp_adjust_tail(ctx, delta))
			return -1;
	}
	return 0;
}

static __always_inline int write_next(struct xdp_md *ctx, struct bench_side *s)
{
	__u32 address;

	if (s->pattern != PAT_SPOOF)
		return write_headers(ctx, &cfg, next_flow(s));
	address = next_random(&s->rng);
	/* The first byte in memory; 10 is the clients' own. */
	if ((address & 0xff) == 10)
		address ^= 1;
	return put_headers(ctx, &cfg, address, next_random(&s->rng));
}

static __always_inline int prepare(struct xdp_md *ctx, struct bench_side *s)
{
	if (restore(ctx, s) || write_next(ctx, s))
		return -1;
	/*
	 * A locked instruction drains the store buffer: a target that loads a field across two of the stores above
	 * would otherwise stall, which it would not on a packet that a NIC wrote.
	 */
	if (cfg.fence)
		__sync_fetch_and_add(&s->here, 0);
	return 0;
}

/*
 * One program per side: with a constant index the JIT makes the tail call a direct jump. The empty asm hides the
 * constant from the compiler, which would otherwise conclude that call_*() always returns it.
 */
#define BENCH(side, index)                                                                                             \
	static __noinline int call_##side(struct xdp_md *ctx)                                                          \
	{                                                                                                              \
		int verdict = NOT_CALLED;                                                                              \
		asm volatile("" : "+r"(verdict));                                                                      \
		bpf_tail_call_static(ctx, &targets, index);                                                            \
		return verdict;                                                                                        \
	}                                                                                                              \
	SEC("xdp") int bench_##side(struct xdp_md *ctx)                                                                \
	{                                                                                                              \
		__u32 verdict = NOT_PREPARED;                                                                          \
		if (!prepare(ctx, &sides[index]))                                                                      \
			verdict = call_##side(ctx);                                                                    \
		sides[index].verdict[verdict & (NVERDICTS - 1)]++;                                                     \
		return verdict;                                                                                        \
	}

BENCH(base, SIDE_BASE)
BENCH(target, SIDE_TARGET)

SEC("xdp") int trivial(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
