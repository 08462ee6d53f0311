/** From a frame to a flow, as a reader of the RFCs would do it: bpf/packet.h is what this is compared with. */
import { Reason } from '../../../src/abi/abi.generated.js';

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
  /** Why it cannot be a flow; null: the rest is known. */
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
const ICMP = [1, 58];
const EXTENSIONS = [0, 43, 60, 51];
const FRAGMENT_HEADER = 44;

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
  const ip = {
    v6: false,
    source: frame.subarray(at + 12, at + 16),
    destination: frame.subarray(at + 16, at + 20),
    ipAt: at,
    ipBytes,
    trafficClass: frame[at + 1]!,
    protocol: frame[at + 9]!,
  };
  const sound = frame[at]! >> 4 === 4 && headerBytes >= 20 && ipBytes >= headerBytes && at + ipBytes <= frame.length;
  if (!sound) return stopped(ip, Reason.DROP_MALFORMED);
  const moreFragmentsOrOffset = frame.readUInt16BE(at + 6) & 0x3fff;
  if (moreFragmentsOrOffset !== 0) return stopped(ip, Reason.DROP_FRAGMENT);
  return parseTransport(frame, at + headerBytes, ip);
}

function parseIp6(frame: Buffer, at: number): Parsed {
  const ipBytes = 40 + frame.readUInt16BE(at + 4);
  const ip = {
    v6: true,
    source: frame.subarray(at + 8, at + 24),
    destination: frame.subarray(at + 24, at + 40),
    ipAt: at,
    ipBytes,
    trafficClass: (frame.readUInt16BE(at) >> 4) & 0xff,
    protocol: frame[at + 6]!,
  };
  if (frame[at]! >> 4 !== 6 || at + ipBytes > frame.length) return stopped(ip, Reason.DROP_MALFORMED);
  if (ip.protocol === FRAGMENT_HEADER) return stopped(ip, Reason.DROP_FRAGMENT);
  if (EXTENSIONS.includes(ip.protocol)) return stopped(ip, Reason.DROP_EXTENSION);
  return parseTransport(frame, at + 40, ip);
}

type IpPart = Omit<Parsed, 'problem' | 'sourcePort' | 'destinationPort' | 'flags'>;
const noFlags = { syn: false, ends: false };

function stopped(ip: IpPart, problem: number): Parsed {
  return { ...ip, problem, sourcePort: 0, destinationPort: 0, flags: noFlags };
}

function parseTransport(frame: Buffer, at: number, ip: IpPart): Parsed {
  if (ICMP.includes(ip.protocol)) return stopped(ip, Reason.DROP_ICMP);
  if (ip.protocol !== TCP && ip.protocol !== UDP) return stopped(ip, Reason.DROP_PROTOCOL);
  const left = ip.ipAt + ip.ipBytes - at;
  if (left < (ip.protocol === TCP ? 20 : 8)) return stopped(ip, Reason.DROP_MALFORMED);
  const bits = ip.protocol === TCP ? frame[at + 13]! : 0;
  return {
    ...ip,
    problem: null,
    sourcePort: frame.readUInt16BE(at),
    destinationPort: frame.readUInt16BE(at + 2),
    flags: { syn: (bits & 2) !== 0, ends: (bits & 5) !== 0 },
  };
}
