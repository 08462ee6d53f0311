/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A keyed 64-bit fingerprint of a flow: NH over 32-bit words (Black et al., "UMAC: Fast and Secure Message
 * Authentication", CRYPTO 1999), where no two flows collide for more than 2^-32 of the keys, then a mixer, so that
 * every bit serves as an index. Without the key nobody can aim at a bucket or at a backend.
 */
#ifndef SPILLWAY_FINGERPRINT_H
#define SPILLWAY_FINGERPRINT_H

#include "packet.h"

static __always_inline __u64 nh(__u32 a, __u32 b, const __u32 *key)
{
	return (__u64)(__u32)(a + key[0]) * (__u32)(b + key[1]);
}

static __always_inline __u64 mix(__u64 h, const struct settings *settings)
{
	h ^= settings->finish_key[0];
	h ^= h >> 32;
	h *= 0x9fb21c651e98df25ULL;
	h ^= h >> 29;
	h *= settings->finish_key[1] | 1;
	h ^= h >> 32;
	return h ? h : 1; /* tag 0 means a free slot */
}

static __always_inline __u64 fingerprint4(__be32 source, __be32 destination, __be32 ports, __u32 protocol,
					  const struct settings *settings)
{
	const __u32 *key = settings->key;

	return mix(nh(ports, protocol, key) + nh(source, destination, key + 2), settings);
}

static __always_inline __u64 fingerprint6(const __be32 *s, const __be32 *d, __be32 ports, __u32 protocol,
					  const struct settings *settings)
{
	const __u32 *key = settings->key;
	__u64 h = nh(ports, protocol, key);

	h += nh(s[0], s[1], key + 2) + nh(s[2], s[3], key + 4);
	h += nh(d[0], d[1], key + 6) + nh(d[2], d[3], key + 8);
	return mix(h, settings);
}

static __always_inline __u64 flow_fingerprint(const struct packet *packet, const struct settings *settings)
{
	const __be32 *s = packet->source.words, *d = packet->destination.words;

	if (packet->v6)
		return fingerprint6(s, d, packet->ports, packet->protocol, settings);
	return fingerprint4(s[3], d[3], packet->ports, packet->protocol, settings);
}

static __always_inline __u64 nh_source(const struct packet *packet, const struct settings *settings)
{
	const __be32 *s = packet->source.words;
	const __u32 *key = settings->key;

	if (packet->v6)
		return nh(s[0], s[1], key + 2) + nh(s[2], s[3], key + 4);
	return nh(s[3], 0, key + 2);
}

/* Scheduler SCH: the client's address alone. */
static __always_inline __u64 source_fingerprint(const struct packet *packet, const struct settings *settings)
{
	return mix(nh_source(packet, settings), settings);
}

#endif
