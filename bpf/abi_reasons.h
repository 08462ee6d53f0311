/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why a packet was passed or dropped: the enum's word in lower case, without prefix, is the metric's label and the
 * CLI's word. Order is ABI (index into lb_counters.reasons): append only.
 */
#ifndef SPILLWAY_ABI_REASONS_H
#define SPILLWAY_ABI_REASONS_H

enum reason {
	PASS_NOT_IP = 0,    /* ARP, LLDP...: the kernel's */
	PASS_NOT_VIP = 1,   /* an address that is no VIP */
	PASS_OTHER_MAC = 2, /* a VIP, but a frame for another host (flooded, promiscuous) */
	PASS_MALFORMED = 3, /* too short to tell its destination */
	PASS_NEIGHBOR = 4,  /* neighbour discovery: whether the VIP's node is still there, as ARP asks it */

	ANSWER_ECHO = 8,    /* an echo request to a VIP, answered */
	ANSWER_TOO_BIG = 9, /* would exceed the MTU after encapsulation: the client was told */

	DROP_NO_LISTENER = 16,	/* a VIP, no listener on this port and protocol */
	DROP_PROTOCOL = 17,	/* a VIP, neither TCP, UDP nor ICMP */
	DROP_ICMP = 18,		/* ICMP to a VIP that is neither a plain echo request nor an error */
	DROP_FRAGMENT = 19,	/* a fragment whose first one was not seen */
	DROP_MALFORMED = 20,	/* lengths lie, header cut off */
	DROP_EXTENSION = 21,	/* IPv6 extension headers beyond the bounds */
	DROP_NO_BACKEND = 22,	/* the pool is empty */
	DROP_BACKEND_DOWN = 23, /* the choice is not up, and there is no other */
	DROP_TOO_BIG = 24,	/* would exceed the MTU after encapsulation, and the client could not be told */
	DROP_NO_HEADROOM = 25,	/* the driver left no room for the outer header */
	DROP_STOPPED = 26,	/* the listener is stopped */
	DROP_INTERNAL = 27,	/* maps contradict each other: a defect */
	DROP_ECHO_RATE = 28,	/* an echo request above the rate that is answered */
	DROP_ICMP_QUOTE = 29,	/* an ICMP error that does not quote enough of a packet of a VIP */
	DROP_ICMP_NO_FLOW = 30, /* an ICMP error about a flow that nobody here knows */
	DROP_FRAGMENT_EARLY =
		31, /* came before its first fragment: handed to the agent, which sends it on after that */
	DROP_ACCESS_DENIED = 32,
	DROP_CONNECTION_RATE = 33, /* above newSessionsPerSecond */
	DROP_SESSION_LIMIT = 34,
	DROP_BANDWIDTH_LIMIT = 35,
	DROP_PACKET_LIMIT = 36,
	DROP_SOURCE_RATE = 37, /* above newSessionsPerSecondPerSource */
	DROP_EGRESS = 38,      /* the interface that it has to leave by is not there */
	REASON_COUNT = 64,
};

#define FIRST_ANSWER ANSWER_ECHO
#define FIRST_DROP   DROP_NO_LISTENER

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
