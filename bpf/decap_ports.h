/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What both directions of port mapping share: sums, and the memory of datagrams in fragments. */
#ifndef SPILLWAY_DECAP_PORTS_H
#define SPILLWAY_DECAP_PORTS_H

#include "decap_parts.h"

/* RFC 1624: HC' = ~(~HC + ~m + m'); `sum` is ~m + m' of all that changes. */
static __always_inline __u16 changed_check(__u16 check, __u32 sum)
{
	return ~fold((__u16)~check + sum);
}

/* The same for a transport's checksum: 0 in UDP means none, and stays; a sum of 0 is written as 0xffff. */
static __always_inline __u16 changed_l4_check(__u8 protocol, __u16 check, __u32 sum)
{
	__u16 changed = changed_check(check, sum);

	if (protocol != IPPROTO_UDP)
		return changed;
	if (!check)
		return 0;
	return changed ? changed : 0xffff;
}

static __always_inline struct decap_datagram datagram_of(const struct parts *parts)
{
	return (struct decap_datagram){
		.source = parts->source,
		.destination = parts->destination,
		.id = parts->id,
		.protocol = parts->fragment_protocol,
	};
}

/*
 * Later fragments have no ports: they go the way of their datagram's first, or untouched when that has not been seen.
 * A first fragment that is not mapped (`port` NULL) ends the memory of an earlier datagram with its id.
 */
static __always_inline void note_fragment(const struct parts *parts, const struct decap_port *port)
{
	struct decap_datagram key = datagram_of(parts);

	if (parts->fragment != FIRST_FRAGMENT)
		return;
	if (port)
		bpf_map_update_elem(&decap_parts_v2, &key, port, BPF_ANY);
	else
		bpf_map_delete_elem(&decap_parts_v2, &key);
}

#endif
