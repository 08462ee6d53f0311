/**
 * ICMP as a reader of the RFCs would have it: what an echo request is answered with, which flow an error speaks of, what
 * the sender of a packet that is too big is told. bpf/echo.h, icmp.h and too_big.h are what this is compared with.
 */
import { Reason } from '../../../src/abi/abi.generated.js';
import { internetChecksum } from '../checksum.js';
import { adjusted } from './adjusted.js';
import { walkExtensions } from './extensions.js';
import type { FlowParts } from './fingerprint.js';
import type { Addresses, Parsed } from './parse.js';

const TCP = 6;
const UDP = 17;

export type IcmpKind = 'echo' | 'error' | 'neighbour' | 'other';

export function icmpKind(frame: Buffer, { v6, ipAt, l4At }: Parsed): IcmpKind {
  const type = frame[l4At]!;
  if (type === (v6 ? 128 : 8)) return 'echo';
  if (v6 && type >= 133 && type <= 137 && frame[ipAt + 7] === 255) return 'neighbour';
  return (v6 ? [1, 2, 3, 4] : [3, 11, 12]).includes(type) ? 'error' : 'other';
}

/** Not multicast, broadcast, unspecified or loopback. */
export function isOneHost({ v6, source }: Addresses): boolean {
  if (v6) return source[0] !== 0xff && source.subarray(0, 12).some((byte) => byte !== 0);
  return source[0] !== 0 && source[0] !== 127 && source[0]! < 224;
}

/** May it be answered at all? */
export function isPlainEcho(packet: Parsed): boolean {
  return packet.l4At === packet.ipAt + (packet.v6 ? 40 : 20) && isOneHost(packet);
}

function turnedRound(link: Buffer): Buffer {
  return Buffer.concat([link.subarray(6, 12), link.subarray(0, 6), link.subarray(12)]);
}

export function echoReply(frame: Buffer, { v6, ipAt, l4At }: Parsed): Buffer {
  const out = Buffer.from(frame);
  turnedRound(frame.subarray(0, ipAt)).copy(out);
  const [source, bytes] = v6 ? [ipAt + 8, 16] : [ipAt + 12, 4];
  frame.copy(out, source, source + bytes, source + 2 * bytes);
  frame.copy(out, source + bytes, source, source + bytes);
  out[ipAt + (v6 ? 7 : 8)] = 64;
  out[l4At] = v6 ? 129 : 0;
  const changed = (at: number, [from, to]: readonly [number, number]): number =>
    adjusted(frame.readUInt16BE(at), frame.subarray(from, to), out.subarray(from, to));
  if (!v6) out.writeUInt16BE(changed(ipAt + 10, [ipAt + 8, ipAt + 10]), ipAt + 10);
  const check = changed(l4At + 2, [l4At, l4At + 2]);
  /* A message of nothing but zeros has no other. */
  out.writeUInt16BE(!v6 && check === 0 ? 0xffff : check, l4At + 2);
  return out;
}

/** The flow that an error speaks of, as its client sends it. */
export interface QuotedFlow extends Addresses, FlowParts {}

export function quotedFlow(frame: Buffer, packet: Parsed): QuotedFlow | number {
  const stop = packet.ipAt + packet.ipBytes;
  const quote = packet.v6 ? quoted6(frame, packet.l4At + 8, stop) : quoted4(frame.subarray(0, stop), packet.l4At + 8);
  if (!quote?.from.equals(packet.destination) || quote.at + 8 > stop) return Reason.DROP_ICMP_QUOTE;
  if (quote.protocol !== TCP && quote.protocol !== UDP) return Reason.DROP_ICMP_NO_FLOW;
  return {
    v6: packet.v6,
    source: quote.to,
    destination: packet.destination,
    protocol: quote.protocol,
    sourcePort: frame.readUInt16BE(quote.at + 2),
    destinationPort: frame.readUInt16BE(quote.at),
  };
}

interface Quote {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly protocol: number;
  /** Its transport header. */
  readonly at: number;
}

function quoted4(bytes: Buffer, at: number): Quote | null {
  if (bytes.length < at + 20) return null;
  const header = (bytes[at]! & 15) * 4;
  const whole = (bytes.readUInt16BE(at + 6) & 0x1fff) === 0;
  if (bytes[at]! >> 4 !== 4 || header < 20 || !whole) return null;
  const [from, to] = [bytes.subarray(at + 12, at + 16), bytes.subarray(at + 16, at + 20)];
  return { from, to, protocol: bytes[at + 9]!, at: at + header };
}

function quoted6(frame: Buffer, at: number, stop: number): Quote | null {
  if (at + 40 > stop || frame[at]! >> 4 !== 6) return null;
  const walked = walkExtensions(frame, { at: at + 40, stop, next: frame[at + 6]! });
  if (typeof walked === 'number' || walked.fragment === 'later') return null;
  const [from, to] = [frame.subarray(at + 8, at + 24), frame.subarray(at + 24, at + 40)];
  return { from, to, protocol: walked.next, at: walked.at };
}

/** May the sender of a packet that does not fit into `mtu` be told so? */
export function mayBeTold(packet: Parsed, mtu: number): boolean {
  if (packet.kind !== 'flow' || !packet.dontFragment || !isOneHost(packet)) return false;
  return packet.v6 ? packet.ipBytes > Math.max(mtu, 1280) : mtu >= 68;
}

export function tooBig(frame: Buffer, packet: Parsed, mtu: number): Buffer {
  const { ipAt, v6 } = packet;
  const [long, short] = v6 ? [1232, 128] : [548, 68];
  const quote = frame.subarray(ipAt, ipAt + (packet.ipBytes >= long ? long : short));
  const message = Buffer.concat([Buffer.from(v6 ? [2, 0, 0, 0] : [3, 4, 0, 0]), Buffer.alloc(4), quote]);
  message.writeUInt32BE(v6 ? Math.max(mtu, 1280) : mtu, 4);
  const link = turnedRound(frame.subarray(0, ipAt));
  const addresses = Buffer.concat([packet.destination, packet.source]);
  if (v6) {
    const pseudo = Buffer.concat([addresses, Buffer.alloc(8)]);
    pseudo.writeUInt32BE(message.length, 32);
    pseudo[39] = 58;
    message.writeUInt16BE(internetChecksum(pseudo, message), 2);
    const header = Buffer.from([0x60, 0, 0, 0, 0, 0, 58, 64]);
    header.writeUInt16BE(message.length, 4);
    return Buffer.concat([link, header, addresses, message]);
  }
  message.writeUInt16BE(internetChecksum(message), 2);
  const header = Buffer.from([0x45, 0xc0, 0, 0, 0, 0, 0x40, 0, 64, 1, 0, 0]);
  header.writeUInt16BE(20 + message.length, 2);
  header.writeUInt16BE(internetChecksum(header, addresses), 10);
  return Buffer.concat([link, header, addresses, message]);
}
