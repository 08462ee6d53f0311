/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every layout that leaves the kernel: map keys and values. The TypeScript codecs are generated from the BTF of
 * abi.bpf.c. Numbers are in host order unless the type says otherwise (__be16, __be32, bytes of an address).
 *
 * A change of a map's layout raises LAYOUT_VERSION, which becomes the _vN suffix of this map's name; other maps keep
 * theirs, and with them what is in them. The agent compares name, key and value size of each pinned map and never reads
 * another version as its own.
 */
#ifndef SPILLWAY_ABI_TYPES_H
#define SPILLWAY_ABI_TYPES_H

#include <linux/types.h>

#define LAYOUT_VERSION 3

/* An IPv4 address is kept IPv4-mapped (::ffff:a.b.c.d). */
struct address {
	union {
		__u8 bytes[16];
		__be32 words[4];
	};
};

/* ---- control: VIP -> service -> pool -> Maglev table -> backend --------- */

/* port 0 and protocol 0: the address is a VIP, whatever listens there. */
struct vip_key {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct vip_value {
	__u32 service; /* 0: marker of the address */
};

enum service_flags {
	SERVICE_IN_USE = 1,
	SERVICE_STOPPED = 2, /* new flows are dropped; known ones once their sessions are cleared */
};

/* How a flow without a session finds its backend among the slots of the pool's table. */
enum schedule {
	SCHEDULE_TUPLE = 0,  /* TCH: Maglev over addresses and ports */
	SCHEDULE_SOURCE = 1, /* SCH: Maglev over the client's address */
	SCHEDULE_TURN = 2,   /* WRR, RR: the next slot */
	SCHEDULE_LEAST = 3,  /* WLC: the least loaded of the members that the slots name */
	SCHEDULE_QUIC = 4,   /* QCH: the server id in the connection id, else as SCHEDULE_TUPLE */
};

/* Index of session timeouts, and the state of a session. */
enum session_state {
	SESSION_UNFINISHED = 0,
	SESSION_YOUNG = 1, /* one packet seen: the first to go */
	SESSION_ESTABLISHED = 2,
	SESSION_CLOSING = 3, /* FIN or RST seen */
	SESSION_SOURCE = 4,  /* no flow: where a client's next connection goes (source persistence) */
	/* The same, of a client that has not had a session established yet: & 3 it is young, lives and goes as such. */
	SESSION_SOURCE_YOUNG = 5,
};

/* One VIP address, protocol and port: a cache line. */
struct service {
	__u16 pool;
	__u16 flags;		/* enum service_flags */
	__u16 timeout_ticks[4]; /* by session_state & 3: [0] is source persistence, 0 = off */
	__u8 schedule;		/* enum schedule */
	__u8 quic;		/* SCHEDULE_QUIC: index into quic_routes; 0: none */
	__u16 max_segment;	/* SYNs that offer a larger MSS are rewritten; 0 = left alone */
	__u64 identity;		/* digest of its name: the agent finds its ids again by it */
	__u32 access;		/* number of an access list, and ACCESS_ALLOW: changed in one store; 0: none */
	__u16 listener_limit;	/* index into limits; 0: none, and no access list either */
	__u16 balancer_limit;	/* of its LoadBalancer */
	__u32 pad[8];
};

enum pool_flags {
	POOL_IN_USE = 1,
};

/* A backend group as one set of listeners sees it (health differs by check). */
struct pool {
	__u32 table;	      /* index into maglev */
	__u32 previous_table; /* the one before the last swap: read until handover_until */
	__u32 handover_until; /* 32-bit tick; SYNs whose choice changed are recorded until then */
	__u32 slots;	      /* of the table in use: MAGLEV_SLOTS, or fewer where slots are taken in turn */
	__u32 previous_slots; /* of the one before */
	__u16 flags;	      /* enum pool_flags */
	__u16 pad;
	__u64 recipe; /* digest of members and weights that filled `table` */
	__u64 identity;
};

#define MAGLEV_SLOTS 65537
#define MAGLEV_NONE  0 /* backend id 0 is never given out */

/* A pool of fewer slots has them over and over again, so that a row half written names no empty one. */
struct maglev_table {
	__u16 slots[MAGLEV_SLOTS];
	__u16 pad[3];
};

/* Whose turn it is in a pool: every core writes here, so it is alone on its cache line. */
struct turn {
	__u64 next;
	__u64 pad[7];
};

/* Sessions of a backend of SCHEDULE_LEAST: known + made. */
struct load {
	__s64 known; /* the agent's: what its sweep counted, less what `made` was when that began */
	__s64 made;  /* the data path's: sessions begun since the map was made, less those that ended */
};

enum backend_flags {
	BACKEND_IN_USE = 1,
	BACKEND_UP = 2,	       /* takes packets; unset: its sessions select anew */
	BACKEND_HEALTHY = 4,   /* what health checks last said: the agent's memory over restarts */
	BACKEND_CHECKED = 8,   /* health is known */
	BACKEND_RETIRED = 16,  /* removed; the number is kept until no session names it */
	BACKEND_DRAINING = 32, /* weight 0: keeps its sessions, gets no new ones, not by persistence either */
	BACKEND_STEERED = 64,  /* `egress` says how it leaves */
};

enum forwarding {
	FORWARD_NONE = 0,
	FORWARD_L2_DSR = 1,
	FORWARD_IPIP4 = 2, /* outer IPv4 */
	FORWARD_IPIP6 = 3, /* outer IPv6 */
	FORWARD_GUE4 = 4,  /* outer IPv4 and UDP: Generic UDP Encapsulation, variant 1 (draft-ietf-intarea-gue) */
	FORWARD_GUE6 = 5,
};

struct backend {
	__u8 next_hop[6];
	__u8 forwarding; /* enum forwarding */
	__u8 flags;	 /* enum backend_flags */
	__u32 outer_sum; /* IPv4: unfolded sum of the constant words of the outer header */
	__u16 egress;	 /* how packets leave: index into egresses; 0: by the port and with the tags they came with */
	__be16 tunnel_port;
	__u64 identity;
	struct address address;
	struct address source; /* of the outer header */
	__u16 mtu;	       /* of the way to the backend, bytes of IP packet */
	__u16 pool;	       /* that it belongs to: what it is called in another pool is another backend */
	__u16 outer_bytes;     /* of the outer headers; 0: none */
	__u16 weight;	       /* in force: WEIGHT_SCALE times what was configured, less during slow start */
};

#define WEIGHT_SCALE 20

/* ---- QUIC connection ids (draft-ietf-quic-load-balancers-21) --------------- */

#define QUIC_CONFIGS	  8 /* by the three first bits of a connection id; the last is never one */
#define QUIC_SERVER_BYTES 15
#define AES_ROUND_WORDS	  44

struct quic_config {
	__u8 server_id_bytes; /* 0: there is no such configuration */
	__u8 nonce_bytes;
	__u8 encrypted; /* AES-128, single pass: both together are 16 bytes */
	__u8 pad;
	__u32 round_keys[AES_ROUND_WORDS]; /* of the equivalent inverse cipher (FIPS 197, 5.3.5), last round first */
};

/* The configurations of a listener. */
struct quic_routing {
	__u64 recipe; /* digest of what it was made from; 0: free */
	struct quic_config configs[QUIC_CONFIGS];
};

struct quic_server_key {
	__u8 id[QUIC_SERVER_BYTES]; /* zero behind id_bytes */
	__u8 id_bytes;
	__u16 pool;
	__u16 pad;
};

struct quic_server {
	__u32 backend;
};

/* Decryption of AES, by table: written once, the same for every key. */
struct aes_tables {
	__u32 rounds[4 * 256]; /* InvSubBytes and InvMixColumns of a byte in each place of a column */
	__u8 inverse_sbox[256];
};

#define MAX_EGRESSES 1024 /* rows; 0 is none */
#define EGRESS_PORTS 8
#define EGRESS_NAME  16

enum egress_flags {
	EGRESS_IN_USE = 1,
};

/* A way out other than back by the port and with the tags that a packet came with: a cache line. */
struct egress {
	__u32 ports[EGRESS_PORTS]; /* interfaces that may send it (slaves of a bond: several); 0 ends the list */
	__u8 mac[6];		   /* source address */
	__u16 vlan;		   /* the tag that it leaves with; 0: none */
	__u16 port_count;
	__u16 flags;		/* enum egress_flags */
	char name[EGRESS_NAME]; /* of the device whose way this is (eth1, eth0.20, bond0): the row is found again by it
				 */
	__u32 pad;
};

/* ---- admission: asked for flows that have no session ------------------------ */

#define ACCESS_ALLOW (1u << 31) /* the list names who may; unset: who may not */

/* Of an LPM trie: `bits` counts the 32 of list and v6, then those of the client's prefix. */
struct access_key {
	__u32 bits;
	__u16 list;
	__u16 v6; /* 1, or 0: a prefix of one family never covers the other's addresses */
	struct address client;
};

#define ACCESS_KEY_BITS 160

/* Limits count time in these parts of a tick, so that rates up to some ten million a second are exact to a percent. */
#define LIMIT_TIME_BITS 30

enum limit_flags {
	LIMIT_IN_USE = 1,
	LIMIT_SET = 2, /* anything is limited; unset: refusals of an access list are counted, no more */
};

/* Upper half of limit.over; the lower is the 32-bit tick of when it was measured. */
enum limit_over {
	LIMIT_OVER_BITS = 1,
	LIMIT_OVER_PACKETS = 2,
};

/* Of a listener, or of a LoadBalancer. Two cache lines: the agent's, and the one that changes with new sessions. */
struct limit {
	__u64 identity;
	__u32 flags;	       /* enum limit_flags */
	__u32 sessions;	       /* at once; 0: no limit */
	__u64 interval;	       /* between new sessions; 0: no limit */
	__u64 source_interval; /* between new sessions of one client */
	__u64 burst;	       /* of both: a second */
	__u64 over;	       /* enum limit_over << 32 | tick, by the agent; stale after LIMIT_STALE_TICKS */
	__s64 base;	       /* live sessions are base + made - ended; the agent corrects it when it has counted */
	__u64 pad;
	__u64 busy_until; /* of new sessions: so far ahead of now the limit is used up */
	__u64 made;
	__u64 ended;
	__u64 pad2[5];
};

#define LIMIT_STALE_TICKS 8

/* What one limit refused, by reason - DROP_ACCESS_DENIED. */
#define REFUSAL_COUNT 6
struct refusals {
	__u64 counts[REFUSAL_COUNT];
};

/* ---- sessions ------------------------------------------------------------ */

#define SLOTS_PER_BUCKET 4
#define TICK_BITS	 24
#define TICK_MASK	 ((1u << TICK_BITS) - 1)

/*
 * value: backend 0..15, service 16..31, last seen (tick) 32..55, state 56..59, flags 60..63.
 * tag 0 = free. To free: value 0, then tag 0. To take: tag by compare-and-exchange from 0, then value.
 * Tag set and value 0 = being filled: neither free nor a hit.
 */
struct session_slot {
	__u64 tag;
	__u64 value;
};

struct session_bucket {
	struct session_slot slots[SLOTS_PER_BUCKET];
} __attribute__((aligned(64)));

/* Written once at insertion, at the same index (bucket * 4 + slot); valid while tag_check is the tag's upper half. */
struct session_detail {
	struct address client;
	__be16 client_port;
	__u16 service;
	__u32 created_tick;
	__u32 tag_check;
	__u16 origin_node;
	__u8 protocol;
	__u8 pad;
};

/*
 * What a CPU did that other nodes should know: slots whose session was established, changed its backend, closed, or was
 * made by the first packet after a handshake. Entry n is at n % SESSION_LOG_ENTRIES: slot << 32 | the lower half of n +
 * 1, so that an entry that is not written yet, or overwritten, tells itself. The agent reads and moves `tail`; the data
 * path never waits for it.
 */
#define SESSION_LOG_ENTRIES 16384
struct session_log {
	__u64 head; /* entries written, by atomic addition */
	__u64 pad[7];
	__u64 tail; /* entries read */
	__u64 pad2[7];
	__u64 entries[SESSION_LOG_ENTRIES];
};

/* ---- settings: one element, changed at run time --------------------------- */

#define MAX_MACS	  8
#define FINGERPRINT_WORDS 12

struct settings {
	__u32 layout; /* version of this struct: 2 */
	__u32 node_id;
	__u64 macs[MAX_MACS]; /* own addresses, bytes in memory order, upper 16 bits 0; the first fills the rest */
	__u32 key[FINGERPRINT_WORDS]; /* cluster key: fingerprints and Maglev choices */
	__u64 finish_key[2];
	__u32 hz;	  /* jiffies per second */
	__u32 tick_shift; /* tick = jiffies >> tick_shift */
	/* So many in each tick on the whole node; 0: none. */
	__u32 echoes_per_tick;	  /* echo requests answered */
	__u32 errors_per_tick;	  /* ICMP errors of our own */
	__u32 fragments_per_tick; /* early fragments handed to the agent */
	__u32 pad;
};

/* One bit for each hash of a VIP address: what misses here is no VIP of ours. */
#define VIP_FILTER_BITS 65536
struct vip_filter {
	__u64 words[VIP_FILTER_BITS / 64];
};

/* ---- counters (per CPU) ---------------------------------------------------- */

struct traffic {
	__u64 packets;
	__u64 bytes;	  /* Ethernet frame as received, without FCS */
	__u64 sessions;	  /* new */
	__u64 no_session; /* packets forwarded by the scheduler alone */
};

#endif
