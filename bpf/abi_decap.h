/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Layouts of the program on backends. `spillway backend` is their only reader. */
#ifndef SPILLWAY_ABI_DECAP_H
#define SPILLWAY_ABI_DECAP_H

#include "abi_types.h"

/* Pinned maps with another suffix are another layout: never read, replaced at the next attach. */
#define DECAP_LAYOUT_VERSION 2

/*
 * What became of a frame on its way in: each counts once. The word in lower case, without prefix, is the CLI's word
 * and the metric's label. Order is ABI (index into decap_counters.reasons).
 */
enum decap_reason {
	DECAP_PASS_NOT_TUNNEL = 0, /* nothing to strip: ARP, SSH... */
	DECAP_PASS_VIP = 1,	   /* came to a VIP without a tunnel: L2_DSR */
	DECAP_PASS_OTHER_MAC = 2,  /* a tunnel frame, or one to a VIP, for another host (flooded, promiscuous) */
	DECAP_PASS_SOURCE = 3,	   /* the tunnel's source is not on the list of load balancers */
	DECAP_PASS_NOT_VIP = 4,	   /* the inner destination is not on the list of VIPs */
	DECAP_PASS_OPTIONS = 5,	   /* outer IPv4 options: no load balancer of ours sends them */
	DECAP_DROP_FRAGMENT = 6,   /* outer fragment: the way from the load balancer has too small an MTU */
	DECAP_DROP_MALFORMED = 7,  /* the outer length, or the length of the UDP datagram in it, lies */
	DECAP_DROP_CHECKSUM = 8,   /* the outer IPv4 header was damaged on its way */
	DECAP_DROP_GUE = 9,	   /* GUE of another variant, with flags or options, a control message, or not of IP */
	DECAP_DROP_INNER = 10,	   /* inner header cut off, of another version, or its length lies */
	DECAP_DROP_ECN = 11,	   /* outer CE over an inner packet that cannot carry it (RFC 6040, 4.2) */
	DECAP_DROP_INTERNAL = 12,  /* the driver refused to move the head */
	DECAP_STRIPPED_4IN4 = 13,  /* inner in outer */
	DECAP_STRIPPED_4IN6 = 14,
	DECAP_STRIPPED_6IN4 = 15,
	DECAP_STRIPPED_6IN6 = 16,
	DECAP_STRIPPED_GUE4 = 17, /* the outer family, whatever the inner one */
	DECAP_STRIPPED_GUE6 = 18,
	DECAP_REASON_COUNT = 19,
};

#define DECAP_FIRST_DROP     DECAP_DROP_FRAGMENT
#define DECAP_FIRST_STRIPPED DECAP_STRIPPED_4IN4

/* What was done beside that, in both directions. Same words, same rules. */
enum decap_event {
	DECAP_EVENT_MAPPED_IN = 0,	 /* destination of a VIP's packet: now the host's own */
	DECAP_EVENT_MAPPED_OUT = 1,	 /* source of a reply: now the VIP's */
	DECAP_EVENT_MAPPED_ICMP_IN = 2,	 /* an ICMP error about a reply, and the reply it quotes */
	DECAP_EVENT_MAPPED_ICMP_OUT = 3, /* an ICMP error of this host, and the request it quotes */
	DECAP_EVENT_MAPPED_LATER_IN = 4, /* a fragment without ports, by its datagram's first */
	DECAP_EVENT_MAPPED_LATER_OUT = 5,
	DECAP_EVENT_EXEMPT_IN = 6, /* a mapping's own, but of an address that is exempt */
	DECAP_EVENT_EXEMPT_OUT = 7,
	DECAP_EVENT_MSS_CLAMPED = 8,
	DECAP_EVENT_DROPPED_OUT = 9, /* the kernel refused to change a packet that was to be mapped: out of memory */
	DECAP_EVENT_COUNT = 10,
};

struct decap_count {
	__u64 packets;
	__u64 bytes; /* Ethernet frame as received, without FCS */
};

/* Per CPU, one element. */
struct decap_counters {
	struct decap_count reasons[DECAP_REASON_COUNT];
	__u64 events[DECAP_EVENT_COUNT];
};

#define DECAP_MAX_MACS	  4
#define DECAP_MAX_SOURCES 1024
#define DECAP_MAX_EXEMPT  1024
#define DECAP_MAX_VIPS	  4096
#define DECAP_MAX_PORTS	  4096
#define DECAP_FRAGMENTS	  4096 /* datagrams in fragments that are remembered at once */

enum decap_clamp {
	DECAP_CLAMP_OFF = 0,
	DECAP_CLAMP_AUTO = 1, /* by the interface's MTU and the outer header that the VIP's packets came in */
	DECAP_CLAMP_FIXED = 2,
};

/* Rodata, so that the verifier removes what is off. */
struct decap_config {
	__u64 macs[DECAP_MAX_MACS]; /* own addresses, bytes in memory order, upper 16 bits 0; 0 ends the list */
	__u32 check_source;	    /* strip only what comes from decap_from */
	__u32 check_vip;	    /* strip only what goes to decap_vips */
	__u32 frags;		    /* loaded with BPF_F_XDP_HAS_FRAGS: frames may not be linear */
	__u32 map_ports;	    /* decap_in and decap_out hold something */
	__u32 check_exempt;	    /* decap_exempt holds something */
	__u32 clamp;		    /* enum decap_clamp */
	__u32 clamp_mss;	    /* DECAP_CLAMP_FIXED */
	__u32 ifindex;		    /* where tunnels come in: its MTU is what they must fit */
	__be16 gue_port;	    /* 0: no GUE */
	__u16 pad[3];
};

/* LPM key; IPv4 prefixes are those of the mapped address (96 bits longer). */
struct decap_prefix {
	__u32 prefix_bits;
	struct address address;
};

enum decap_vip_flags {
	DECAP_VIP_COUNTED = 1, /* a VIP: its traffic has a slot */
	DECAP_VIP_MAPPED = 2,  /* some of its ports are mapped */
	DECAP_VIP_HOST = 4,    /* an address that ports are mapped to */
};

struct decap_vip {
	__u32 slot; /* into decap_usage */
	__u16 flags;
	__u16 overhead; /* of the widest outer header seen, written by the program: 0 = came without a tunnel */
};

/* One bit for each hash of an address in decap_vips; most traffic of the host costs no more. */
#define DECAP_FILTER_BITS 16384
struct decap_filter {
	__u64 in[DECAP_FILTER_BITS / 64];  /* VIPs */
	__u64 out[DECAP_FILTER_BITS / 64]; /* VIPs, and addresses that ports are mapped to */
};

/* Whose counters a slot holds; kept over attaches. `born` is drawn when the VIP gets the slot, 0 = free. */
struct decap_slot {
	struct address vip;
	__u64 born;
};

/* Per CPU, by slot. Ethernet frames without FCS and without outer headers: what the client sent and gets. */
struct decap_usage {
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 bytes_out;
};

/* decap_in: of the VIP; decap_out: of the host. */
struct decap_port_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

/*
 * What to put in its place. The sums say how the words' one's complement sum changes (RFC 1624: ~m + m', folded,
 * words as in memory), so that no packet costs more than an addition.
 */
struct decap_port {
	struct address address;
	__be16 port;
	__u16 address_sum;
	__u16 port_sum;
	__u16 pad;
	__u32 slot; /* decap_out: of the VIP */
};

/* A datagram in fragments, one of whose ends is mapped. */
struct decap_datagram {
	struct address source;
	struct address destination;
	__u32 id;
	__u32 protocol;
};

#endif
