/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Reads the frame without asking for its length: the verifier refuses `refused`, and takes `accepted`. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int refused(struct xdp_md *context)
{
	return *(volatile __u8 *)(long)context->data;
}

SEC("xdp")
int accepted(struct xdp_md *context __attribute__((unused)))
{
	return XDP_PASS;
}
