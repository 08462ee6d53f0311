/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Layouts of the backend's decapsulator. `spillway backend` is their only reader. */
#ifndef SPILLWAY_ABI_DECAP_H
#define SPILLWAY_ABI_DECAP_H

#include "abi_types.h"

/* Pinned maps with another suffix are another layout: never read, replaced at the next attach. */
#define DECAP_LAYOUT_VERSION 1

/*
 * What became of a frame: each frame counts once. The word in lower case, without prefix, is the CLI's word.
 * Order is ABI (index into decap_counters.reasons): append only.
 */
enum decap_reason {
	DECAP_PASS_NOT_TUNNEL = 0, /* nothing to strip: ARP, SSH, traffic that reached the host by L2_DSR */
	DECAP_PASS_OTHER_MAC = 1,  /* a tunnel frame for another host (flooded, promiscuous) */
	DECAP_PASS_SOURCE = 2,	   /* the tunnel's source is not on the list of load balancers */
	DECAP_PASS_NOT_VIP = 3,	   /* the inner destination is not on the list of VIPs */
	DECAP_PASS_OPTIONS = 4,	   /* outer IPv4 options: no load balancer of ours sends them */
	DECAP_DROP_FRAGMENT = 5,   /* outer fragment: the way from the load balancer has too small an MTU */
	DECAP_DROP_MALFORMED = 6,  /* the outer length lies */
	DECAP_DROP_CHECKSUM = 7,   /* the outer IPv4 header was damaged on its way */
	DECAP_DROP_INNER = 8,	   /* inner header cut off, of another version, or its length lies */
	DECAP_DROP_ECN = 9,	   /* outer CE over an inner packet that cannot carry it (RFC 6040, 4.2) */
	DECAP_DROP_INTERNAL = 10,  /* the driver refused to move the head */
	DECAP_STRIPPED_4IN4 = 11,
	DECAP_STRIPPED_6IN6 = 12,
	DECAP_STRIPPED_4IN6 = 13,
	DECAP_REASON_COUNT = 14,
};

struct decap_count {
	__u64 packets;
	__u64 bytes; /* Ethernet frame as received, without FCS */
};

/* Per CPU, one element. */
struct decap_counters {
	struct decap_count reasons[DECAP_REASON_COUNT];
};

#define DECAP_MAX_MACS	  4
#define DECAP_MAX_SOURCES 1024
#define DECAP_MAX_VIPS	  65536

/* Rodata, so that the verifier removes what is off. */
struct decap_config {
	__u64 macs[DECAP_MAX_MACS]; /* own addresses, bytes in memory order, upper 16 bits 0; 0 ends the list */
	__u32 check_source;	    /* strip only what comes from decap_sources */
	__u32 check_vip;	    /* strip only what goes to decap_vips */
	__u32 frags;		    /* loaded with BPF_F_XDP_HAS_FRAGS: frames may not be linear */
	__u32 pad;
};

/* LPM key; IPv4 prefixes are those of the mapped address (96 bits longer). */
struct decap_source {
	__u32 prefix_bits;
	struct address address;
};

#endif
