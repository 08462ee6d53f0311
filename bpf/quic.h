/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Scheduler QCH: QUIC packets by the server id in their destination connection id, after
 * draft-ietf-quic-load-balancers-21 (plain, and enciphered in a single pass). The id rules in each packet, so a client
 * may change its address, or talk to two servers from one; nothing is remembered of it. What carries no id that
 * can be read (a client's first packets) goes by its addresses and ports, as the draft's baseline fallback has it:
 * such a flow has a session, with a tag that the short way never asks for.
 */
#ifndef SPILLWAY_QUIC_H
#define SPILLWAY_QUIC_H

#include "aes.h"
#include "select.h"

#define QUIC_LONG_HEADER 0x80
#define QUIC_ID_BYTES	 20 /* RFC 9000, 17.2 */
#define UDP_HEADER_BYTES 8
/* Long header: first byte, version, length of the id (RFC 8999, 5.1). */
#define QUIC_LONG_BYTES 6

/* Of such a flow: its own tag is that of other listeners' flows. Twice gives the first again. */
static __always_inline __u64 quic_fallback_tag(__u64 tag)
{
	tag ^= 0x514348206f72206eULL;
	return tag ? tag : 1;
}

/*
 * The id's first octet and up to 19 bytes after it. Only what RFC 8999 fixes is looked at: a short header does not say
 * how long the id is, so what follows may be read with it. False: the datagram holds no id.
 */
static __always_inline bool read_quic_id(struct xdp_md *ctx, const struct packet *packet, struct quic_id *id)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *at;
	__u32 offset = (packet->l4_at & 0x3ff) + UDP_HEADER_BYTES;
	int left = packet->link_bytes + packet->ip_bytes - offset, length;

	at = data + offset;
	if (at + 1 > end)
		return false;
	if (*(__u8 *)at & QUIC_LONG_HEADER) {
		if (at + QUIC_LONG_BYTES > end)
			return false;
		length = *(__u8 *)(at + QUIC_LONG_BYTES - 1);
		left -= QUIC_LONG_BYTES;
		at += QUIC_LONG_BYTES;
		if (length > left)
			length = left;
	} else {
		length = left - 1;
		at += 1;
	}
	if (length <= 0)
		return false;
	if (length > QUIC_ID_BYTES)
		length = QUIC_ID_BYTES;
	id->bytes = length - 1;
	if (at + QUIC_ID_BYTES <= end) {
		id->first = *(__u8 *)at;
		__builtin_memcpy(id->block, at + 1, QUIC_ID_BYTES - 1);
		return true;
	}
	if (at + 1 > end)
		return false;
	id->first = *(__u8 *)at;
	for (int i = 0; i < QUIC_ID_BYTES - 1; i++) {
		if (at + 1 + i + 1 > end) {
			if (i < id->bytes)
				id->bytes = i;
			break;
		}
		id->block[i] = *(__u8 *)(at + 1 + i);
	}
	return true;
}

/* The first `bytes` of the block, in the form of the map's key. */
static __always_inline void name_server(struct quic_server_key *key, const struct quic_id *id, __u32 bytes, __u32 pool)
{
	const __u64 *block = (const __u64 *)id->block;
	__u64 *words = (__u64 *)key->id;
	__u32 bits = bytes * 8;

	/* Little-endian: the first bytes are the low ones. The key's last byte is their number. */
	words[0] = bits < 64 ? block[0] & ((1ULL << bits) - 1) : block[0];
	words[1] = (bits > 64 ? block[1] & ((1ULL << (bits - 64)) - 1) : 0) | (__u64)bytes << 56;
	key->pool = pool;
	key->pad = 0;
}

/* The backend that the packet's id names, if it is up; draining or not. MAGLEV_NONE: by other means. */
__noinline __u32 quic_backend(struct xdp_md *ctx, struct work *work)
{
	struct quic_server_key key __attribute__((aligned(8)));
	struct quic_routing *routing;
	struct quic_config *config;
	struct quic_server *server;
	struct service *service;
	__u32 index;

	if (!work)
		return MAGLEV_NONE;
	service = service_at(work->service_id);
	if (!service || !read_quic_id(ctx, &work->packet, &work->quic))
		return MAGLEV_NONE;
	index = service->quic;
	routing = bpf_map_lookup_elem(&quic_routes_v2, &index);
	if (!routing)
		return MAGLEV_NONE;
	config = &routing->configs[work->quic.first >> 5 & (QUIC_CONFIGS - 1)];
	if (!config->server_id_bytes || config->server_id_bytes > QUIC_SERVER_BYTES ||
	    work->quic.bytes < config->server_id_bytes + config->nonce_bytes)
		return MAGLEV_NONE;
	if (config->encrypted && !aes_decipher(config, &work->quic))
		return MAGLEV_NONE;
	name_server(&key, &work->quic, config->server_id_bytes, service->pool);
	server = bpf_map_lookup_elem(&quic_servers_v2, &key);
	return server && backend_up(server->backend) ? server->backend : MAGLEV_NONE;
}

#endif
