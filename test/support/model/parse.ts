/** From a frame to a flow, as a reader of the RFCs would do it: bpf/packet.h is what this is compared with. */
import { Reason } from '../../../src/abi/abi.generated.js';
import { extensionHeaders, type Fragment, walkExtensions } from './extensions.js';

export interface Addresses {
  readonly v6: boolean;
  /** As in the packet: 4 or 16 bytes. */
  readonly source: Buffer;
  readonly destination: Buffer;
}

export interface Parsed extends Addresses {
  /** Where the IP packet begins. */
  readonly ipAt: number;
  /** Its length as its header says. */
  readonly ipBytes: number;
  readonly trafficClass: number;
  readonly protocol: number;
  /** Where the transport header begins. */
  readonly l4At: number;
  readonly fragment: Fragment;
  /** 4 bytes; IPv4's two, then zeros. */
  readonly fragmentId: Buffer;
  /** DF; IPv6 is never fragmented on its way. */
  readonly dontFragment: boolean;
  /** An ICMP message, or a fragment without a transport header: the rest is not known. */
  readonly kind: 'flow' | 'icmp' | 'later fragment';
  /** Why it is dropped; null: the rest is known. */
  readonly problem: number | null;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags: { readonly syn: boolean; readonly ends: boolean };
}

/** 16 bytes; IPv4-mapped for IPv4. */
export function mapped(address: Buffer): Buffer {
  return address.length === 16 ? address : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), address]);
}

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;
/** What may stand between the fragment header and the transport. */
const FRAGMENTABLE = [60, 51];

/** The flow, or the reason to pass the frame without looking for a VIP. */
export function parseFrame(frame: Buffer): Parsed | number {
  const link = linkOf(frame);
  if (link === null) return Reason.PASS_MALFORMED;
  if (link.type === 0x0800) return frame.length < link.at + 20 ? Reason.PASS_MALFORMED : parseIp4(frame, link.at);
  if (link.type === 0x86dd) return frame.length < link.at + 40 ? Reason.PASS_MALFORMED : parseIp6(frame, link.at);
  return Reason.PASS_NOT_IP;
}

/** Up to two tags, of which only the outer may be a service tag; type 0 is no type. */
function linkOf(frame: Buffer): { type: number; at: number } | null {
  if (frame.length < 14) return null;
  let at = 14;
  for (const tagTypes of [[0x8100, 0x88a8], [0x8100]]) {
    if (!tagTypes.includes(frame.readUInt16BE(at - 2))) break;
    if (frame.length < at + 4) return null;
    at += 4;
  }
  const type = frame.readUInt16BE(at - 2);
  return type === 0 ? null : { type, at };
}

function parseIp4(frame: Buffer, at: number): Parsed {
  const headerBytes = (frame[at]! & 15) * 4;
  const ipBytes = frame.readUInt16BE(at + 2);
  const flagsAndOffset = frame.readUInt16BE(at + 6);
  const moreFragments = (flagsAndOffset & 0x2000) !== 0;
  const ip: IpPart = {
    v6: false,
    source: frame.subarray(at + 12, at + 16),
    destination: frame.subarray(at + 16, at + 20),
    ipAt: at,
    ipBytes,
    trafficClass: frame[at + 1]!,
    protocol: frame[at + 9]!,
    l4At: at + headerBytes,
    fragment: (flagsAndOffset & 0x1fff) !== 0 ? 'later' : moreFragments ? 'first' : 'none',
    fragmentId: Buffer.concat([frame.subarray(at + 4, at + 6), Buffer.alloc(2)]),
    dontFragment: (flagsAndOffset & 0x4000) !== 0,
  };
  const sound = frame[at]! >> 4 === 4 && headerBytes >= 20 && ipBytes >= headerBytes && at + ipBytes <= frame.length;
  return sound ? parseTransport(frame, ip) : stopped(ip, Reason.DROP_MALFORMED);
}

/** In an IPv6 header such an address is nobody's. */
function isMapped(address: Buffer): boolean {
  return address.toString('hex').startsWith('00000000000000000000ffff');
}

function parseIp6(frame: Buffer, at: number): Parsed | number {
  const ipBytes = 40 + frame.readUInt16BE(at + 4);
  if (isMapped(frame.subarray(at + 24, at + 40))) return Reason.PASS_NOT_VIP;
  const ip: IpPart = {
    v6: true,
    source: frame.subarray(at + 8, at + 24),
    destination: frame.subarray(at + 24, at + 40),
    ipAt: at,
    ipBytes,
    trafficClass: (frame.readUInt16BE(at) >> 4) & 0xff,
    protocol: frame[at + 6]!,
    l4At: at + 40,
    fragment: 'none',
    fragmentId: Buffer.alloc(4),
    dontFragment: true,
  };
  if (frame[at]! >> 4 !== 6 || at + ipBytes > frame.length) return stopped(ip, Reason.DROP_MALFORMED);
  const walked = walkExtensions(frame, { at: at + 40, stop: at + ipBytes, next: ip.protocol });
  if (typeof walked === 'number') return stopped(ip, walked);
  const { at: l4At, next: protocol, fragment, id: fragmentId } = walked;
  return parseTransport(frame, { ...ip, l4At, protocol, fragment, fragmentId });
}

type IpPart = Omit<Parsed, 'kind' | 'problem' | 'sourcePort' | 'destinationPort' | 'flags'>;
const unknownTransport = {
  kind: 'flow',
  sourcePort: 0,
  destinationPort: 0,
  flags: { syn: false, ends: false },
} as const;

function stopped(ip: IpPart, problem: number): Parsed {
  return { ...ip, ...unknownTransport, problem };
}

function parseTransport(frame: Buffer, ip: IpPart): Parsed {
  if (ip.protocol === ICMP || ip.protocol === ICMP6) return parseIcmp(ip);
  if (ip.fragment === 'later') return laterFragment(ip);
  if (ip.protocol !== TCP && ip.protocol !== UDP) return stopped(ip, Reason.DROP_PROTOCOL);
  const at = ip.l4At;
  if (ip.ipAt + ip.ipBytes - at < (ip.protocol === TCP ? 20 : 8)) return stopped(ip, Reason.DROP_MALFORMED);
  const bits = ip.protocol === TCP ? frame[at + 13]! : 0;
  return {
    ...ip,
    kind: 'flow',
    problem: null,
    sourcePort: frame.readUInt16BE(at),
    destinationPort: frame.readUInt16BE(at + 2),
    flags: { syn: (bits & 2) !== 0, ends: (bits & 5) !== 0 },
  };
}

/** Nothing is put together here, so ICMP in fragments is not understood. */
function parseIcmp(ip: IpPart): Parsed {
  if (ip.fragment !== 'none' || ip.v6 !== (ip.protocol === ICMP6)) return stopped(ip, Reason.DROP_ICMP);
  if (ip.ipAt + ip.ipBytes - ip.l4At < 8) return stopped(ip, Reason.DROP_MALFORMED);
  return { ...ip, ...unknownTransport, kind: 'icmp', problem: null };
}

function laterFragment(ip: IpPart): Parsed {
  const known = ip.protocol === TCP || ip.protocol === UDP;
  if (known || (ip.v6 && FRAGMENTABLE.includes(ip.protocol))) {
    return { ...ip, ...unknownTransport, kind: 'later fragment', problem: null };
  }
  const refused = ip.v6 && extensionHeaders.includes(ip.protocol);
  return stopped(ip, refused ? Reason.DROP_EXTENSION : Reason.DROP_PROTOCOL);
}
