/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Packet kinds, and the frames and header templates built from them. */
#ifndef PKTBENCH_FRAME_H
#define PKTBENCH_FRAME_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "wrapper.h"

#define MAX_FRAME 3520 /* what one page leaves for a linear frame */

enum l4 { L4_TCP, L4_UDP, L4_ICMP };

struct kind {
	const char *name;
	int family; /* 4 or 6 */
	enum l4 l4;
	int tcp_flags;
	bool quic;	    /* UDP payload begins like a QUIC short header */
	int inner;	    /* protocol quoted inside the ICMP error; 0: an echo request */
	int fragment;	    /* IPv4 flags and offset, in host order; 0: DF */
	const char *opener; /* kind that opens the session, sent while warming up */
};

extern const struct kind kinds[];
extern const int nkinds;

/* Where the packets go. */
struct vip {
	struct in_addr v4;
	struct in6_addr v6;
	int tcp_port, udp_port;
	unsigned char quic_head[20];
	int quic_head_len;
};

struct frame {
	unsigned char b[MAX_FRAME];
	struct bench_cfg cfg;
};

/* Ends the process with a message when there is no such kind. */
const struct kind *find_kind(const char *name);

/* size: bytes without FCS; raised when the headers need more. */
void build_frame(struct frame *f, const struct kind *k, const struct vip *vip, unsigned int size, unsigned int flows);

/* One's complement sum of 16-bit words in memory order, folded. */
uint32_t sum16(const void *p, int len, uint32_t sum);

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
