/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * New sessions a second of one client (IPv6: of one /64) in bounded memory: a sketch of two cells for each client and
 * limit (Estan, Varghese: "New Directions in Traffic Measurement and Accounting", SIGCOMM 2002). A cell is a
 * busy_until. The earlier of the two is the client's, or it would be, did not others share both; only as much as it is
 * raised are the cells. So nobody is refused but where both cells are taken up by others, and nobody gets more.
 */
#ifndef SPILLWAY_SOURCE_H
#define SPILLWAY_SOURCE_H

#include "fingerprint.h"
#include "limit.h"

struct source_cells {
	__u64 *one, *other;
};

/* Both indices come from one keyed hash: without the key nobody can take up another's cells. */
static __always_inline struct source_cells source_cells_of(const struct packet *packet, __u32 limit,
							   const struct settings *settings)
{
	const __be32 *s = packet->source.words;
	const __u32 *key = settings->key;
	__u64 hash = nh(limit, packet->v6, key);
	__u32 first, second;

	hash = mix(hash + (packet->v6 ? nh(s[0], s[1], key + 2) : nh(s[3], 0, key + 2)), settings);
	first = (__u64)(__u32)hash * config.source_cells >> 32;
	second = (hash >> 32) * config.source_cells >> 32;
	if (second == first)
		second = first + 1 == config.source_cells ? 0 : first + 1;
	return (struct source_cells){bpf_map_lookup_elem(&sources_v2, &first),
				     bpf_map_lookup_elem(&sources_v2, &second)};
}

static __always_inline __u64 source_after(const struct source_cells *cells, const struct limit *limit, __u64 now)
{
	__u64 one = ONCE(*cells->one), other = ONCE(*cells->other);

	return busy_after((__s64)(one - other) < 0 ? one : other, limit->source_interval, now);
}

static __always_inline void raise_cell(__u64 *cell, __u64 to)
{
	__u64 before = ONCE(*cell);

	if ((__s64)(to - before) > 0)
		__sync_val_compare_and_swap(cell, before, to);
}

static __always_inline bool source_exceeded(const struct packet *packet, __u32 id, const struct limit *limit,
					    const struct settings *settings, __u64 now)
{
	struct source_cells cells;

	if (!limit->source_interval)
		return false;
	cells = source_cells_of(packet, id, settings);
	return cells.one && cells.other && too_far(source_after(&cells, limit, now), limit->burst, now);
}

static __always_inline void charge_source(const struct packet *packet, __u32 id, const struct limit *limit,
					  const struct settings *settings, __u64 now)
{
	struct source_cells cells;
	__u64 after;

	if (!limit->source_interval)
		return;
	cells = source_cells_of(packet, id, settings);
	if (!cells.one || !cells.other)
		return;
	after = source_after(&cells, limit, now);
	raise_cell(cells.one, after);
	raise_cell(cells.other, after);
}

#endif
