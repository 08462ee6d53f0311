/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why a packet was passed or dropped: the enum's word in lower case, without prefix, is the metric's label and the
 * CLI's word. Order is ABI (index into lb_counters.reasons): append only.
 */
#ifndef SPILLWAY_ABI_REASONS_H
#define SPILLWAY_ABI_REASONS_H

enum reason {
	PASS_NOT_IP = 0,      /* ARP, LLDP...: the kernel's */
	PASS_NOT_VIP = 1,     /* an address that is no VIP */
	PASS_OTHER_MAC = 2,   /* a VIP, but a frame for another host (flooded, promiscuous) */
	PASS_MALFORMED = 3,   /* too short to tell its destination */
	DROP_NO_LISTENER = 4, /* a VIP, no listener on this port and protocol */
	DROP_PROTOCOL = 5,    /* a VIP, neither TCP nor UDP */
	DROP_ICMP = 6,	      /* ICMP or ICMPv6 to a VIP */
	DROP_FRAGMENT = 7,
	DROP_MALFORMED = 8,	/* lengths lie, header cut off */
	DROP_EXTENSION = 9,	/* IPv6 extension header before the transport */
	DROP_NO_BACKEND = 10,	/* the pool is empty */
	DROP_BACKEND_DOWN = 11, /* the choice is not up, and there is no other */
	DROP_TOO_BIG = 12,	/* would exceed the MTU after encapsulation */
	DROP_NO_HEADROOM = 13,	/* the driver left no room for the outer header */
	DROP_STOPPED = 14,	/* the listener is stopped */
	DROP_INTERNAL = 15,	/* maps contradict each other: a defect */
	REASON_COUNT = 16,
};

#define FIRST_DROP DROP_NO_LISTENER

/* What the session table did. Order is ABI, append only. */
enum table_event {
	TABLE_INSERTED = 0,
	TABLE_MOVED = 1, /* entries moved to their other bucket to make room */
	TABLE_REUSED_EXPIRED = 2,
	TABLE_EVICTED_CLOSING = 3,
	TABLE_EVICTED_YOUNG = 4,
	TABLE_EVICTED_OLD = 5, /* established, idle for more than half of its timeout */
	TABLE_NOT_TRACKED = 6, /* no room: the flow is served by the scheduler alone */
	TABLE_RESELECTED = 7,  /* chosen anew in its place: the backend was down, or the session over */
	TABLE_EVENT_COUNT = 8,
};

struct lb_counters {
	__u64 reasons[REASON_COUNT];
	__u64 table[TABLE_EVENT_COUNT];
};

#endif
