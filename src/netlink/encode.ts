import { type Family, familyOf, type Ip, ipToPlainBytes } from '../base/ip.js';
import { AF_INET, AF_INET6, NDA, NLM_F, NTF, NTF_EXT, NUD, RT_SCOPE, RTA, RTM, RTN } from './kernel.js';
import { type Attribute, u16Payload, u32Payload, writeMessage } from './wire.js';

export interface Neighbour {
  readonly ifindex: number;
  readonly address: Ip;
}

/** Every link of the namespace: NEWLINK messages, then DONE. */
export function encodeLinkDump(sequence: number): Uint8Array {
  return writeMessage({ type: RTM.GETLINK, flags: NLM_F.REQUEST | NLM_F.DUMP, sequence }, new Uint8Array(16), []);
}

/** Every neighbour of both families: NEWNEIGH messages, then DONE. */
export function encodeNeighbourDump(sequence: number): Uint8Array {
  return writeMessage({ type: RTM.GETNEIGH, flags: NLM_F.REQUEST | NLM_F.DUMP, sequence }, new Uint8Array(12), []);
}

/**
 * Which way a packet to this address takes: one NEWROUTE, or an error. Not with RTM_F_FIB_MATCH: that gives the
 * prefix's entry, all its legs and no source address; the plain answer is what the kernel's own sockets would use.
 */
export function encodeRouteLookup(sequence: number, address: Ip): Uint8Array {
  const bytes = ipToPlainBytes(address);
  const fixed = new Uint8Array(12);
  fixed[0] = familyNumber(address);
  fixed[1] = bytes.length * 8;
  return writeMessage({ type: RTM.GETROUTE, flags: NLM_F.REQUEST, sequence }, fixed, [
    { type: RTA.DST, payload: bytes },
  ]);
}

/** Every route of one family in all tables: NEWROUTE messages, then DONE. */
export function encodeRouteDump(sequence: number, family: Family): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = family === 4 ? AF_INET : AF_INET6;
  return writeMessage({ type: RTM.GETROUTE, flags: NLM_F.REQUEST | NLM_F.DUMP, sequence }, fixed, []);
}

/** What tells routes of one table apart. */
export interface RouteKey {
  readonly family: Family;
  /** Null: the default route. */
  readonly destination: Ip | null;
  readonly prefixBits: number;
  readonly table: number;
  /** RTPROT_ */
  readonly protocol: number;
  /** 0: none. */
  readonly metric: number;
}

/**
 * Adds a route that leads nowhere, there to be read by others from a table of its own. Acknowledged; refused (EEXIST)
 * where one of the same address, table and metric is, whoever put it there.
 */
export function encodeBlackhole(sequence: number, key: RouteKey): Uint8Array {
  const flags = NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL;
  return writeRoute({ type: RTM.NEWROUTE, flags, sequence }, key, { scope: RT_SCOPE.UNIVERSE, type: RTN.BLACKHOLE });
}

/** Removes a route of any type. Acknowledged; ESRCH where there is none. */
export function encodeRouteRemoval(sequence: number, key: RouteKey): Uint8Array {
  const flags = NLM_F.REQUEST | NLM_F.ACK;
  return writeRoute({ type: RTM.DELROUTE, flags, sequence }, key, { scope: RT_SCOPE.NOWHERE, type: RTN.UNSPEC });
}

function writeRoute(
  header: { readonly type: number; readonly flags: number; readonly sequence: number },
  { family, destination, prefixBits, table, protocol, metric }: RouteKey,
  { scope, type }: { readonly scope: number; readonly type: number },
): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = family === 4 ? AF_INET : AF_INET6;
  fixed[1] = prefixBits;
  fixed[5] = protocol;
  fixed[6] = scope;
  fixed[7] = type;
  const attributes: Attribute[] = [{ type: RTA.TABLE, payload: u32Payload(table) }];
  if (destination !== null) attributes.push({ type: RTA.DST, payload: ipToPlainBytes(destination) });
  if (metric !== 0) attributes.push({ type: RTA.PRIORITY, payload: u32Payload(metric) });
  return writeMessage(header, fixed, attributes);
}

export type NeighbourWish =
  /** Resolve now and keep resolved (kernel 5.16); exempt from the table's garbage collection. */
  | 'manage'
  /** Resolve now: to be repeated whenever the entry ages. What older kernels make of it too. */
  | 'use'
  /** Ask its present MAC whether it is still there, whatever the entry's age (kept entries: say 'manage' after it). */
  | 'verify'
  /** Nothing of the above any more: the kernel may forget the entry. */
  | 'release';

/**
 * NTF_USE and NTF_EXT_MANAGED make the kernel ignore the state in the request and start resolution by itself; they
 * would turn a permanent entry into an ordinary one, so never ask for them on such.
 * NTF_EXT_LEARNED exempts the entry from gc_thresh, which by default would start throwing out entries from 1,024 on.
 */
export function encodeNeighbourWish(sequence: number, neighbour: Neighbour, wish: NeighbourWish): Uint8Array {
  const fixed = new Uint8Array(12);
  fixed[0] = familyNumber(neighbour.address);
  fixed.set(u32Payload(neighbour.ifindex), 4);
  fixed.set(u16Payload(wish === 'verify' ? NUD.PROBE : NUD.NONE), 8);
  fixed[10] = (wish === 'release' ? 0 : NTF.EXT_LEARNED) | (wish === 'verify' ? 0 : NTF.USE);
  const attributes: Attribute[] = [{ type: NDA.DST, payload: ipToPlainBytes(neighbour.address) }];
  if (wish === 'manage') attributes.push({ type: NDA.FLAGS_EXT, payload: u32Payload(NTF_EXT.MANAGED) });
  const flags =
    NLM_F.REQUEST | NLM_F.ACK | NLM_F.REPLACE | (wish === 'release' || wish === 'verify' ? 0 : NLM_F.CREATE);
  return writeMessage({ type: RTM.NEWNEIGH, flags, sequence }, fixed, attributes);
}

function familyNumber(address: Ip): number {
  return familyOf(address) === 4 ? AF_INET : AF_INET6;
}
