// SPDX-License-Identifier: GPL-2.0
/*
 * The far end of a veth that carries XDP. Without a program there (or GRO) the kernel gives that end
 * no ring to receive into, and what the near end sends by XDP_TX is lost.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* For cables whose frames do not fit in a page. */
SEC("xdp.frags")
int xdp_pass_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
