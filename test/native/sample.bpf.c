/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One map of each kind and one small program for each call of the addon. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct triple {
	__u32 words[3];
};

struct counts {
	__u64 words[4];
};

struct pair {
	__u32 first;
	__u32 second;
};

const volatile struct pair numbers = {1, 2};
const volatile __u64 big = 3;

/* Elements of 12 bytes: user space sees them 16 apart. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 100);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct triple);
} mapped SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u64);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 20000);
	__type(key, struct pair);
	__type(value, __u32);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 100);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pair);
	__type(value, __u32);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct counts);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Adds the globals: what rodata holds is what user space gave. */
SEC("xdp")
int sum(struct xdp_md *context __attribute__((unused)))
{
	return numbers.first + numbers.second + big;
}

/* words[1] = words[0] + 1 in element 7 of `mapped`; counts in element 5 of `counters`. */
SEC("xdp")
int touch(struct xdp_md *context __attribute__((unused)))
{
	__u32 seven = 7, five = 5;
	struct triple *element = bpf_map_lookup_elem(&mapped, &seven);
	struct counts *count = bpf_map_lookup_elem(&counters, &five);
	if (!element || !count)
		return XDP_ABORTED;
	element->words[1] = element->words[0] + 1;
	count->words[0]++;
	count->words[3] += 10;
	return XDP_PASS;
}

/* The frame's byte 14 tells how many records, of 1 to 32 bytes, whose every byte is the record's length. */
SEC("xdp")
int emit(struct xdp_md *context)
{
	__u8 *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	__u8 record[32];

	if ((void *)(data + 15) > end)
		return XDP_ABORTED;
	for (__u32 number = 0; number < 255 && number < data[14]; number++) {
		__u32 length = (number & 31) + 1;
		__builtin_memset(record, length, sizeof(record));
		if (bpf_ringbuf_output(&events, record, length, 0))
			return XDP_DROP;
	}
	return XDP_PASS;
}

SEC("xdp")
int drop(struct xdp_md *context __attribute__((unused)))
{
	return XDP_DROP;
}

SEC("xdp")
int bounce(struct xdp_md *context __attribute__((unused)))
{
	return XDP_TX;
}

SEC("tc")
int classify(struct __sk_buff *packet __attribute__((unused)))
{
	return TC_ACT_OK;
}

/* Without a frame: the context is all it has. */
SEC("syscall")
int answer(struct pair *context)
{
	context->second = context->first + 1;
	return 5;
}
