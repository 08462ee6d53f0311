/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What each VIP took and gave. */
#ifndef SPILLWAY_DECAP_USAGE_H
#define SPILLWAY_DECAP_USAGE_H

#include "decap_maps.h"

static __always_inline void count_in(__u32 slot, __u32 bytes)
{
	struct decap_usage *usage = bpf_map_lookup_elem(&decap_usage_v2, &slot);

	if (!usage)
		return;
	usage->packets_in++;
	usage->bytes_in += bytes;
}

/* What leaves the host as several packets is one skb here; wire_len is the sum of their frames. */
static __always_inline void count_out(__u32 slot, const struct __sk_buff *skb)
{
	struct decap_usage *usage = bpf_map_lookup_elem(&decap_usage_v2, &slot);

	if (!usage)
		return;
	usage->packets_out += skb->gso_segs > 1 ? skb->gso_segs : 1;
	usage->bytes_out += skb->wire_len;
}

#endif
