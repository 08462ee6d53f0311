/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Maps of the program on backends. Lists and switches never change under a running program: `spillway backend attach`
 * loads a new one with new maps and exchanges it in one step. Carried over are what was counted, and whose it is.
 */
#ifndef SPILLWAY_DECAP_MAPS_H
#define SPILLWAY_DECAP_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi_decap.h"

const volatile struct decap_config config;

/* clang-format off */
#define DECAP_MAP(name, map_type, entries, flags, key_type, value_type) \
	struct {                                                         \
		__uint(type, map_type);                                  \
		__uint(max_entries, entries);                            \
		__uint(map_flags, flags);                                \
		__type(key, key_type);                                   \
		__type(value, value_type);                               \
	} name SEC(".maps")

/* Carried over. */
DECAP_MAP(decap_count_v2, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, __u32, struct decap_counters);
DECAP_MAP(decap_usage_v2, BPF_MAP_TYPE_PERCPU_ARRAY, DECAP_MAX_VIPS, 0, __u32, struct decap_usage);
DECAP_MAP(decap_slots_v2, BPF_MAP_TYPE_ARRAY, DECAP_MAX_VIPS, 0, __u32, struct decap_slot);

/* Of one attach. */
DECAP_MAP(decap_filter_v2, BPF_MAP_TYPE_ARRAY, 1, 0, __u32, struct decap_filter);
DECAP_MAP(decap_vips_v2, BPF_MAP_TYPE_HASH, 2 * DECAP_MAX_VIPS, BPF_F_NO_PREALLOC, struct address, struct decap_vip);
DECAP_MAP(decap_from_v2, BPF_MAP_TYPE_LPM_TRIE, DECAP_MAX_SOURCES, BPF_F_NO_PREALLOC, struct decap_prefix, __u32);
DECAP_MAP(decap_exempt_v2, BPF_MAP_TYPE_LPM_TRIE, DECAP_MAX_EXEMPT, BPF_F_NO_PREALLOC, struct decap_prefix, __u32);
DECAP_MAP(decap_in_v2, BPF_MAP_TYPE_HASH, DECAP_MAX_PORTS, BPF_F_NO_PREALLOC, struct decap_port_key, struct decap_port);
DECAP_MAP(decap_out_v2, BPF_MAP_TYPE_HASH, DECAP_MAX_PORTS, BPF_F_NO_PREALLOC, struct decap_port_key, struct decap_port);
DECAP_MAP(decap_parts_v2, BPF_MAP_TYPE_LRU_HASH, DECAP_FRAGMENTS, 0, struct decap_datagram, struct decap_port);
/* clang-format on */

static __always_inline void count_event(enum decap_event event)
{
	__u32 zero = 0;
	struct decap_counters *counters = bpf_map_lookup_elem(&decap_count_v2, &zero);

	if (counters)
		counters->events[event]++;
}

static __always_inline void address_from4(struct address *to, __be32 from)
{
	to->words[0] = 0;
	to->words[1] = 0;
	to->words[2] = bpf_htonl(0xffff);
	to->words[3] = from;
}

static __always_inline void address_from6(struct address *to, const void *from)
{
	__builtin_memcpy(to->bytes, from, sizeof(to->bytes));
}

static __always_inline int is_exempt(const struct address *address)
{
	struct decap_prefix key = {.prefix_bits = 128, .address = *address};

	return config.check_exempt && bpf_map_lookup_elem(&decap_exempt_v2, &key);
}

/* The same sum is made in src/backend/filter.ts. */
static __always_inline __u32 filter_bit(const struct address *address)
{
	__u32 hash = address->words[0] * 0x9e3779b1 ^ address->words[1] * 0x85ebca6b ^ address->words[2] * 0xc2b2ae35 ^
		     address->words[3] * 0x27d4eb2f;

	hash = (hash ^ hash >> 15) * 0x2c1b3c6d;
	return hash >> 18;
}

enum direction { DIRECTION_IN, DIRECTION_OUT };

/* NULL: no VIP; on the way out, nor an address that ports are mapped to. */
static __always_inline struct decap_vip *find_vip(const struct address *address, enum direction direction)
{
	__u32 zero = 0, bit = filter_bit(address);
	struct decap_filter *filter = bpf_map_lookup_elem(&decap_filter_v2, &zero);
	struct decap_vip *vip;
	const __u64 *words;

	if (!filter)
		return NULL;
	words = direction == DIRECTION_IN ? filter->in : filter->out;
	if (!(words[bit / 64 % (DECAP_FILTER_BITS / 64)] >> (bit % 64) & 1))
		return NULL;
	vip = bpf_map_lookup_elem(&decap_vips_v2, address);
	if (vip && direction == DIRECTION_IN && !(vip->flags & DECAP_VIP_COUNTED))
		return NULL;
	return vip;
}

#endif
