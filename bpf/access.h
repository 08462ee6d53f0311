/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Access lists: prefixes of clients, all lists in one trie, each under its number. An entry says no more than that its
 * clients are listed, so a list can change entry by entry: what is new is added before what is old goes, and each
 * client meets the answer of the list before or of the list after.
 */
#ifndef SPILLWAY_ACCESS_H
#define SPILLWAY_ACCESS_H

#include "packet.h"

static __always_inline bool access_denied(const struct packet *packet, __u32 access)
{
	struct access_key key = {.bits = ACCESS_KEY_BITS, .list = access, .v6 = packet->v6, .client = packet->source};
	bool listed = bpf_map_lookup_elem(&access_v2, &key), allow = access & ACCESS_ALLOW;

	return listed != allow;
}

#endif
