/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * AES-128, deciphering one block by the equivalent inverse cipher (FIPS 197, 5.3.5), with tables and round keys that
 * the agent makes (src/compile/aes.ts). Table lookups leave traces in the cache: it hides which server a client talks
 * to from those who watch the network, not from those who run code on this host.
 */
#ifndef SPILLWAY_AES_H
#define SPILLWAY_AES_H

#include "work.h"

#define AES_ROUNDS 10

static __always_inline __u32 aes_column(const struct aes_tables *tables, __u32 a, __u32 b, __u32 c, __u32 d)
{
	return tables->rounds[a >> 24] ^ tables->rounds[256 + (b >> 16 & 0xff)] ^
	       tables->rounds[512 + (c >> 8 & 0xff)] ^ tables->rounds[768 + (d & 0xff)];
}

static __always_inline __u32 aes_last_column(const struct aes_tables *tables, __u32 a, __u32 b, __u32 c, __u32 d)
{
	const __u8 *sbox = tables->inverse_sbox;

	return (__u32)sbox[a >> 24] << 24 | (__u32)sbox[b >> 16 & 0xff] << 16 | (__u32)sbox[c >> 8 & 0xff] << 8 |
	       sbox[d & 0xff];
}

/* The first 16 bytes of id->block. False: there are no tables. */
__noinline int aes_decipher(const struct quic_config *config, struct quic_id *id)
{
	struct aes_tables *tables;
	__u32 zero = 0, a, b, c, d, w, x, y, z;
	const __u32 *key;
	__be32 *block;

	if (!config || !id)
		return 0;
	tables = bpf_map_lookup_elem(&aes_v2, &zero);
	if (!tables)
		return 0;
	key = config->round_keys;
	block = (__be32 *)id->block;
	a = bpf_ntohl(block[0]) ^ key[0];
	b = bpf_ntohl(block[1]) ^ key[1];
	c = bpf_ntohl(block[2]) ^ key[2];
	d = bpf_ntohl(block[3]) ^ key[3];
#pragma unroll
	for (int round = 1; round < AES_ROUNDS; round++) {
		w = aes_column(tables, a, d, c, b) ^ key[round * 4];
		x = aes_column(tables, b, a, d, c) ^ key[round * 4 + 1];
		y = aes_column(tables, c, b, a, d) ^ key[round * 4 + 2];
		z = aes_column(tables, d, c, b, a) ^ key[round * 4 + 3];
		a = w;
		b = x;
		c = y;
		d = z;
	}
	key += AES_ROUNDS * 4;
	block[0] = bpf_htonl(aes_last_column(tables, a, d, c, b) ^ key[0]);
	block[1] = bpf_htonl(aes_last_column(tables, b, a, d, c) ^ key[1]);
	block[2] = bpf_htonl(aes_last_column(tables, c, b, a, d) ^ key[2]);
	block[3] = bpf_htonl(aes_last_column(tables, d, c, b, a) ^ key[3]);
	return 1;
}

#endif
