/**
 * Numbers of the kernel's netlink interface. Sources:
 * https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/include/uapi/linux/netlink.h (NLM, NLMSG),
 * .../rtnetlink.h (RTM, RTA, RTN, RTNLGRP), .../neighbour.h (NDA, NTF, NUD), .../if_link.h (IFLA), .../if.h (IFF).
 */

export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTR: 0x10,
  /** The acknowledgement carries only the header of the request. */
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
  REPLACE: 0x100,
  EXCL: 0x200,
  DUMP: 0x300,
  CREATE: 0x400,
} as const;

export const NLMSGERR_ATTR = { MSG: 1 } as const;

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  NEWNEXTHOP: 104,
  DELNEXTHOP: 105,
} as const;

export const RTNLGRP = {
  LINK: 1,
  NEIGH: 3,
  IPV4_IFADDR: 5,
  IPV4_ROUTE: 7,
  IPV4_RULE: 8,
  IPV6_IFADDR: 9,
  IPV6_ROUTE: 11,
  IPV6_RULE: 19,
  NEXTHOP: 32,
} as const;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, LINK: 5, MASTER: 10, LINKINFO: 18, LINK_NETNSID: 37 } as const;
export const IFLA_INFO = { KIND: 1, DATA: 2, SLAVE_KIND: 4, SLAVE_DATA: 5 } as const;
export const IFLA_VLAN = { ID: 1, PROTOCOL: 5 } as const;
export const IFLA_BOND = { MODE: 1, ACTIVE_SLAVE: 2 } as const;
export const IFLA_BOND_SLAVE = { STATE: 1, MII_STATUS: 2 } as const;
/** .../if_bonding.h */
export const BOND = { STATE_ACTIVE: 0, LINK_UP: 0, MODE_ACTIVE_BACKUP: 1, MODE_TLB: 5, MODE_ALB: 6 } as const;
/** .../if_ether.h */
export const ETH_P = { VLAN_8021Q: 0x8100 } as const;
export const IFF = { UP: 0x1, LOOPBACK: 0x8, RUNNING: 0x40, LOWER_UP: 0x10000 } as const;

export const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15, VIA: 18 } as const;
export const RTAX = { MTU: 2 } as const;
export const RTN = {
  UNSPEC: 0,
  UNICAST: 1,
  LOCAL: 2,
  BROADCAST: 3,
  ANYCAST: 4,
  MULTICAST: 5,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
} as const;
/** Of a removal, NOWHERE means any. */
export const RT_SCOPE = { UNIVERSE: 0, NOWHERE: 255 } as const;
/** IPv6 keeps a cloned entry for each path MTU learnt: not a change of the routes. */
export const RTM_F_CLONED = 0x200;

export const NDA = { DST: 1, LLADDR: 2, FLAGS_EXT: 15 } as const;
export const NUD = {
  NONE: 0,
  INCOMPLETE: 0x01,
  REACHABLE: 0x02,
  STALE: 0x04,
  DELAY: 0x08,
  PROBE: 0x10,
  FAILED: 0x20,
  NOARP: 0x40,
  PERMANENT: 0x80,
} as const;
export const NTF = { USE: 0x01, EXT_LEARNED: 0x10 } as const;
/** Kernel 5.16: it resolves the entry now and again whenever it ages. Older kernels ignore the attribute. */
export const NTF_EXT = { MANAGED: 0x1 } as const;
