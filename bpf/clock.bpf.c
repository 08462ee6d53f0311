// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The data path counts time in jiffies, which user space cannot read: the agent runs this program to learn them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "abi_config.h"

SEC("syscall")
int clock(struct clock_reading *reading)
{
	reading->jiffies = bpf_jiffies64();
	reading->monotonic_ns = bpf_ktime_get_ns();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
