// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Takes the room before a frame away, as a driver that leaves none would, then calls the program under test. A test run
 * always gives 256 bytes, and kernels before 6.2 take no more than 32 of them for metadata.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* 256 less the 40 that the kernel keeps for itself. */
#define ROOM 216
/* Longest frame that is moved. */
#define MOST 128

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

SEC("xdp")
int no_headroom(struct xdp_md *ctx)
{
	__u8 *data, *end;

	if (bpf_xdp_adjust_head(ctx, -ROOM))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	for (int i = 0; i < MOST && data + ROOM + i + 1 <= end; i++)
		data[i] = data[ROOM + i];
	if (bpf_xdp_adjust_tail(ctx, -ROOM))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
