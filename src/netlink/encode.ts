import { familyOf, type Ip, ipToPlainBytes } from '../base/ip.js';
import { AF_INET, AF_INET6, NDA, NLM_F, NTF, NTF_EXT, NUD, RTA, RTM } from './kernel.js';
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
