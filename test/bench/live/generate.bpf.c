// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Frames out of an interface, made by BPF_PROG_RUN in its live mode. The kernel takes pages that come back with what
 * the load balancer wrote into them, so every header is written anew for each frame.
 */
#include "../pktbench/headers.h"

const volatile struct bench_cfg cfg;
const volatile __u32 out_ifindex;
const volatile __u32 pattern;
/* Of this thread. */
__u64 rng;
__u32 next;

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 flow;

	if (pattern == PAT_RANDOM) {
		flow = (next_random(&rng) * cfg.flows) >> 32;
	} else {
		flow = next;
		next = flow + 1 >= cfg.flows ? 0 : flow + 1;
	}
	if (write_headers(ctx, &cfg, flow))
		return XDP_ABORTED;
	return bpf_redirect(out_ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
