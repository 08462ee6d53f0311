/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#ifndef CLASSIC_H
#define CLASSIC_H
/* Maps of the yardstick program: shared by classic.bpf.c and its loader. */
#define CLASSIC_VIPS	 8
#define CLASSIC_RING	 65537
#define CLASSIC_CPUS	 128
#define CLASSIC_SESSIONS 4000000 /* per CPU */

struct classic_vip_key {
	__u32 addr[4];
	__u16 port;
	__u16 proto;
};
struct classic_vip {
	__u32 flags, num;
};
struct classic_real {
	__u32 addr[4];
	__u32 flags;
};
struct classic_mac {
	__u8 addr[6];
	__u8 pad[2];
};
struct classic_flow {
	__u32 src[4], dst[4], ports;
	__u8 proto, pad[3];
};
struct classic_session {
	__u32 real;
	__u64 seen_ns;
};
struct classic_count {
	__u64 packets, bytes;
};
#endif
