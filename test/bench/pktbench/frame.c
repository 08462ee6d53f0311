// SPDX-License-Identifier: GPL-2.0-only OR MIT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

const struct kind kinds[] = {
	{"tcp4-syn", 4, L4_TCP, TCP_SYN},
	{"tcp4-ack", 4, L4_TCP, TCP_ACK, .opener = "tcp4-syn"},
	{"tcp4-data", 4, L4_TCP, TCP_ACK | TCP_PSH, .opener = "tcp4-syn"},
	{"tcp4-fin", 4, L4_TCP, TCP_ACK | TCP_FIN, .opener = "tcp4-syn"},
	{"tcp4-rst", 4, L4_TCP, TCP_RST, .opener = "tcp4-syn"},
	{"udp4", 4, L4_UDP},
	{"quic4", 4, L4_UDP, .quic = true},
	{"icmp4-ptb-tcp", 4, L4_ICMP, .inner = IPPROTO_TCP, .opener = "tcp4-syn"},
	{"icmp4-ptb-udp", 4, L4_ICMP, .inner = IPPROTO_UDP, .opener = "udp4"},
	{"echo4", 4, L4_ICMP},
	{"frag4-first", 4, L4_UDP, .fragment = 0x2000},
	{"frag4", 4, L4_UDP, .fragment = 0x2000 | 185, .opener = "frag4-first"},
	{"tcp6-syn", 6, L4_TCP, TCP_SYN},
	{"tcp6-ack", 6, L4_TCP, TCP_ACK, .opener = "tcp6-syn"},
	{"tcp6-data", 6, L4_TCP, TCP_ACK | TCP_PSH, .opener = "tcp6-syn"},
	{"udp6", 6, L4_UDP},
	{"quic6", 6, L4_UDP, .quic = true},
	{"icmp6-ptb-tcp", 6, L4_ICMP, .inner = IPPROTO_TCP, .opener = "tcp6-syn"},
	{"echo6", 6, L4_ICMP},
};
const int nkinds = sizeof(kinds) / sizeof(*kinds);

static const unsigned char client_net6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0xc};
static const unsigned char router4[4] = {198, 51, 100, 1};

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

const struct kind *find_kind(const char *name)
{
	for (int i = 0; i < nkinds; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	die("no packet kind '%s' (see -h)", name);
}

uint32_t sum16(const void *p, int len, uint32_t sum)
{
	const unsigned char *b = p;
	uint16_t w;

	for (; len > 1; b += 2, len -= 2) {
		memcpy(&w, b, 2);
		sum += w;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len) {
		w = 0;
		memcpy(&w, b, 1);
		sum += w;
	}
	return (sum & 0xffff) + (sum >> 16);
}

static void put16(unsigned char *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* IP header at `off`; a NULL address stays zero. */
static void put_ip(struct frame *f, int off, int family, int proto, int payload, const void *src, const void *dst)
{
	unsigned char *p = f->b + off;

	if (family == 4) {
		memcpy(p, "\x45\0\0\0\x12\x34\x40\0\x40", 9);
		put16(p + 2, 20 + payload);
		p[9] = proto;
		memcpy(p + 12, src ? src : "\0\0\0", 4);
		memcpy(p + 16, dst ? dst : "\0\0\0", 4);
		return;
	}
	memcpy(p, "\x60\0\0\0", 4);
	put16(p + 4, payload);
	p[6] = proto;
	p[7] = 64;
	if (src)
		memcpy(p + 8, src, 16);
	if (dst)
		memcpy(p + 24, dst, 16);
}

static int protocol_of(const struct kind *k)
{
	if (k->l4 == L4_TCP)
		return IPPROTO_TCP;
	if (k->l4 == L4_UDP)
		return IPPROTO_UDP;
	return k->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

/* An error about a packet that the VIP sent to the client; l4 is the offset of the ICMP header. */
static void build_icmp(struct frame *f, const struct kind *k, const struct vip *vip, int ip, int l4, int l4len)
{
	const void *from = k->family == 4 ? (const void *)&vip->v4 : (const void *)&vip->v6;
	const void *net = k->family == 4 ? NULL : client_net6;
	int iplen = l4 - ip, in = l4 + 8, in4 = in + iplen, len = l4 + l4len;
	struct bench_cfg *c = &f->cfg;
	uint32_t sum;

	f->b[l4] = k->family == 4 ? 3 : 2;
	f->b[l4 + 1] = k->family == 4 ? 4 : 0;
	put16(f->b + l4 + 6, 1400);
	put_ip(f, in, k->family, k->inner, 1480 - iplen, from, net);
	put16(f->b + in4, k->inner == IPPROTO_TCP ? vip->tcp_port : vip->udp_port);
	if (k->inner == IPPROTO_TCP && len >= in4 + 20) {
		/* quoted beyond the 8 bytes that RFC 792 asks for */
		f->b[in4 + 12] = 5 << 4;
		f->b[in4 + 13] = TCP_ACK;
	}
	c->off_port = in4 + 2;
	c->off_l4ck = l4 + 2;
	if (k->family == 4) {
		c->off_addr = in + 16;
		c->off_ipck = in + 10;
		c->ip_sum = sum16(f->b + in, 20, 0);
		sum = sum16(f->b + ip, 20, 0);
		put16(f->b + ip + 10, ntohs(~sum));
		/* the inner IPv4 header, its checksum set, sums to zero */
		c->l4_sum = sum16(f->b + l4, 8, 0);
		c->l4_sum = sum16(f->b + in4, len - in4, c->l4_sum);
	} else {
		c->off_addr = in + 24 + 12;
		c->l4_sum = sum16(f->b + ip + 8, 32, sum16(f->b + l4, l4len, 0));
		c->l4_sum += htons(l4len) + htons(IPPROTO_ICMPV6);
		c->addr_in_l4 = 1;
	}
}

/* Client and identifier tell flows apart. */
static void build_echo(struct frame *f, const struct kind *k, int ip, int l4, int l4len)
{
	struct bench_cfg *c = &f->cfg;

	f->b[l4] = k->family == 4 ? 8 : 128;
	put16(f->b + l4 + 6, 1);
	c->off_port = l4 + 4;
	c->off_l4ck = l4 + 2;
	c->off_addr = ip + (k->family == 4 ? 12 : 8 + 12);
	c->l4_sum = sum16(f->b + l4, l4len, 0);
	if (k->family == 4) {
		c->off_ipck = ip + 10;
		c->ip_sum = sum16(f->b + ip, 20, 0);
	} else {
		c->l4_sum = sum16(f->b + ip + 8, 32, c->l4_sum);
		c->l4_sum += htons(l4len) + htons(IPPROTO_ICMPV6);
		c->addr_in_l4 = 1;
	}
}

static void build_tcp_udp(struct frame *f, const struct kind *k, const struct vip *vip, int ip, int l4, int l4len)
{
	unsigned char *p = f->b + l4;
	struct bench_cfg *c = &f->cfg;

	if (k->l4 == L4_TCP) {
		put16(p + 2, vip->tcp_port);
		put16(p + 4, 0x1234);
		if (k->tcp_flags & TCP_ACK)
			put16(p + 8, 0x5678);
		p[12] = 5 << 4;
		p[13] = k->tcp_flags;
		put16(p + 14, 64240);
		c->off_l4ck = l4 + 16;
	} else {
		put16(p + 2, vip->udp_port);
		put16(p + 4, l4len);
		if (k->quic)
			memcpy(p + 8, vip->quic_head, vip->quic_head_len);
		c->off_l4ck = l4 + 6;
	}
	c->off_port = l4;
	c->off_addr = ip + (k->family == 4 ? 12 : 8 + 12); /* the source's last word */
	if (k->family == 4) {
		c->off_ipck = ip + 10;
		c->ip_sum = sum16(f->b + ip, 20, 0);
	}
	/* pseudo header, then segment */
	c->l4_sum = sum16(f->b + ip + (k->family == 4 ? 12 : 8), k->family == 4 ? 8 : 32,
			  htons(l4len) + htons(protocol_of(k)));
	c->l4_sum = sum16(p, l4len, c->l4_sum);
	c->addr_in_l4 = 1;
}

static int header_bytes(const struct kind *k, const struct vip *vip, int iplen)
{
	switch (k->l4) {
	case L4_TCP:
		return 20;
	case L4_UDP:
		return k->quic ? 8 + vip->quic_head_len : 8;
	default:
		return k->inner ? 8 + iplen + 8 : 8;
	}
}

void build_frame(struct frame *f, const struct kind *k, const struct vip *vip, unsigned int size, unsigned int flows)
{
	const void *to = k->family == 4 ? (const void *)&vip->v4 : (const void *)&vip->v6;
	const void *client = k->family == 4 ? NULL : client_net6;
	const void *router = k->family == 4 ? router4 : client_net6;
	int iplen = k->family == 4 ? 20 : 40, ip = 14, l4 = ip + iplen;
	int head = l4 + header_bytes(k, vip, iplen), len, l4len;
	struct bench_cfg *c = &f->cfg;

	memset(f, 0, sizeof(*f));
	memcpy(f->b, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02", 12);
	put16(f->b + 12, k->family == 4 ? 0x0800 : 0x86dd);
	c->words = (head + 7) / 8;
	len = size > c->words * 8 ? size : c->words * 8;
	if (c->words > MAX_WORDS || len > MAX_FRAME)
		die("frame or header too long");
	l4len = len - l4;
	for (int i = head; i < len; i++)
		f->b[i] = i;
	put_ip(f, ip, k->family, protocol_of(k), l4len, k->inner ? router : client, to);
	if (k->fragment)
		put16(f->b + ip + 6, k->fragment);
	if (k->l4 == L4_ICMP && k->inner)
		build_icmp(f, k, vip, ip, l4, l4len);
	else if (k->l4 == L4_ICMP)
		build_echo(f, k, ip, l4, l4len);
	else
		build_tcp_udp(f, k, vip, ip, l4, l4len);
	c->addr_prefix = k->family == 4 ? 10u << 24 : 0;
	c->len = len;
	c->flows = flows;
	memcpy(c->tmpl, f->b, c->words * 8);
}
