/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * An echo request to a VIP is answered where it comes in, in its own frame: what comes back says that the VIP is
 * announced and that this node's data path runs. Checksums are changed, not made anew: one that was wrong stays wrong.
 */
#ifndef SPILLWAY_ECHO_H
#define SPILLWAY_ECHO_H

#include "allowance.h"
#include "checksum.h"
#include "packet.h"

#define ANSWER_TTL 64

/* ICMP and ICMPv6 begin alike. */
struct icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest;
};

enum { ICMP4_ECHO_REPLY = 0, ICMP4_ECHO = 8, ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129 };

/* RFC 1122, 3.2.2: nothing is answered to what is no single host's address. */
static __always_inline bool is_one_host(const struct packet *packet)
{
	const __be32 *words = packet->source.words;
	__u8 first = bpf_ntohl(words[3]) >> 24;

	if (packet->v6)
		return packet->source.bytes[0] != 0xff && (words[0] | words[1] | words[2]);
	return first != 0 && first != 127 && first < 224;
}

static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

/* Identification and DF stay the client's: as unique as the request, and it may be fragmented if the request might. */
static __always_inline int echo4(void *data, void *end, __u32 link_bytes)
{
	struct iphdr *ip = data + (link_bytes & 0x1f);
	struct icmp *icmp = (void *)(ip + 1);
	__be32 address;
	__u8 ttl;

	if (data + sizeof(struct ethhdr) > end || (void *)(icmp + 1) > end)
		return DROP_INTERNAL;
	swap_macs(data);
	ttl = ip->ttl;
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	ip->ttl = ANSWER_TTL;
	ip->check = replace_word(ip->check, bpf_htons(ttl << 8), bpf_htons(ANSWER_TTL << 8));
	icmp->type = ICMP4_ECHO_REPLY;
	icmp->check = replace_word(icmp->check, bpf_htons(ICMP4_ECHO << 8), bpf_htons(ICMP4_ECHO_REPLY << 8));
	/* Of nothing but zeros the sum is 0 and not, as of all that sums to 0xffff, either: 0xffff is right for both.
	 */
	if (!icmp->check)
		icmp->check = 0xffff;
	return ANSWER_ECHO;
}

static __always_inline int echo6(void *data, void *end, __u32 link_bytes)
{
	struct ipv6hdr *ip = data + (link_bytes & 0x1f);
	struct icmp *icmp = (void *)(ip + 1);
	struct in6_addr address;

	if (data + sizeof(struct ethhdr) > end || (void *)(icmp + 1) > end)
		return DROP_INTERNAL;
	swap_macs(data);
	__builtin_memcpy(&address, &ip->saddr, sizeof(address));
	__builtin_memcpy(&ip->saddr, &ip->daddr, sizeof(address));
	__builtin_memcpy(&ip->daddr, &address, sizeof(address));
	ip->hop_limit = ANSWER_TTL;
	icmp->type = ICMP6_ECHO_REPLY;
	icmp->check = replace_word(icmp->check, bpf_htons(ICMP6_ECHO << 8), bpf_htons(ICMP6_ECHO_REPLY << 8));
	return ANSWER_ECHO;
}

/* With options or extension headers it is not answered: what becomes of those is a host's business. */
static __always_inline int answer_echo(struct xdp_md *ctx, const struct packet *packet, const struct settings *settings)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 header = packet->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (!settings->echoes_per_tick || packet->l4_at != packet->link_bytes + header || !is_one_host(packet))
		return DROP_ICMP;
	if (!spend(ALLOW_ECHO, settings->echoes_per_tick, packet->tick))
		return DROP_ECHO_RATE;
	return packet->v6 ? echo6(data, end, packet->link_bytes) : echo4(data, end, packet->link_bytes);
}

#endif
