/** What the decapsulator should do, written from bpf/abi_decap.h and the RFCs and not from the program. */
import { bytesToIp, formatMac, type Ip } from '../../src/base/ip.js';
import { checksum } from './decap_frames.js';

export interface ModelRules {
  readonly macs: readonly string[];
  /** Null: any. */
  readonly isSource: ((ip: Ip) => boolean) | null;
  /** VIPs; with `onlyVips` nothing else is stripped. */
  readonly vips: readonly Ip[];
  readonly onlyVips: boolean;
  readonly guePort: number | null;
}

export interface Outcome {
  readonly reason: string;
  readonly verdict: 'pass' | 'drop';
  readonly frame: Buffer;
  /** Its VIP, when it has one and goes on. */
  readonly vip: Ip | null;
  /** Bytes of outer headers that were taken off. */
  readonly overhead: number;
  /** Where the IP header begins. */
  readonly at: number;
}

export function decapsulate(frame: Buffer, rules: ModelRules): Outcome {
  const nothing = { vip: null, overhead: 0, at: 0 };
  const untouched = (reason: string): Outcome => ({ reason, verdict: 'pass', frame, ...nothing });
  const dropped = (reason: string): Outcome => ({ reason, verdict: 'drop', frame, ...nothing });
  const own = rules.macs.includes(formatMac(frame.subarray(0, 6)));
  const tunnel = findTunnel(frame, rules.guePort);
  if (tunnel === null) {
    const straight = findDestination(frame);
    if (straight === null || !rules.vips.includes(straight.destination)) return untouched('pass_not_tunnel');
    if (!own) return untouched('pass_other_mac');
    return { reason: 'pass_vip', verdict: 'pass', frame, vip: straight.destination, overhead: 0, at: straight.at };
  }
  if (!own) return untouched('pass_other_mac');
  if (rules.isSource !== null && !rules.isSource(tunnel.source)) return untouched('pass_source');
  if (tunnel.options) return untouched('pass_options');
  if (tunnel.lies) return dropped('drop_malformed');
  if (tunnel.damaged) return dropped('drop_checksum');
  if (tunnel.fragment) return dropped('drop_fragment');
  if (tunnel.gue === 'refused') return dropped('drop_gue');
  const rest = frame.subarray(tunnel.at + tunnel.bytes);
  const v6 = tunnel.protocol === 41;
  if (!(v6 ? isWhole6(rest, tunnel.payload) : isWhole4(rest, tunnel.payload))) return dropped('drop_inner');
  const destination = v6 ? bytesToIp(rest.subarray(24, 40)) : rest.subarray(16, 20).join('.');
  const isVip = rules.vips.includes(destination);
  if (rules.onlyVips && !isVip) return untouched('pass_not_vip');
  const ecn = mergeEcn(tunnel.ecn, v6 ? (rest[1]! >> 4) & 3 : rest[1]! & 3);
  if (ecn === null) return dropped('drop_ecn');
  const head = Buffer.from(frame.subarray(0, tunnel.at));
  head.writeUInt16BE(v6 ? 0x86dd : 0x0800, tunnel.at - 2);
  const outer = tunnel.v6 ? 6 : 4;
  return {
    reason: tunnel.gue === 'plain' ? `stripped_gue${outer}` : `stripped_${v6 ? 6 : 4}in${outer}`,
    verdict: 'pass',
    frame: Buffer.concat([head, v6 ? withEcn6(rest, ecn) : withEcn4(rest, ecn)]),
    vip: isVip ? destination : null,
    overhead: tunnel.bytes,
    at: tunnel.at,
  };
}

interface Tunnel {
  readonly at: number;
  /** Of the outer header. */
  readonly v6: boolean;
  readonly gue: 'none' | 'plain' | 'refused';
  readonly bytes: number;
  readonly payload: number;
  readonly protocol: number;
  readonly ecn: number;
  readonly source: Ip;
  readonly options: boolean;
  readonly lies: boolean;
  readonly damaged: boolean;
  readonly fragment: boolean;
}

interface Packet {
  readonly at: number;
  readonly type: number;
  readonly bytes: Buffer;
}

function findPacket(frame: Buffer): Packet | null {
  let at = 14;
  let type = frame.readUInt16BE(12);
  for (let tags = 0; tags < 2 && (type === 0x8100 || type === 0x88a8); tags++) {
    if (frame.length < at + 4) return null;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  const bytes = frame.subarray(at);
  const is4 = type === 0x0800 && bytes.length >= 20 && bytes[0]! >> 4 === 4;
  const is6 = type === 0x86dd && bytes.length >= 40 && bytes[0]! >> 4 === 6;
  return is4 || is6 ? { at, type, bytes } : null;
}

function findDestination(frame: Buffer): { readonly destination: Ip; readonly at: number } | null {
  const packet = findPacket(frame);
  if (packet === null) return null;
  const { type, bytes, at } = packet;
  return { at, destination: type === 0x0800 ? bytes.subarray(16, 20).join('.') : bytesToIp(bytes.subarray(24, 40)) };
}

function findTunnel(frame: Buffer, guePort: number | null): Tunnel | null {
  const packet = findPacket(frame);
  if (packet === null) return null;
  return packet.type === 0x0800
    ? findTunnel4(packet.bytes, packet.at, guePort)
    : findTunnel6(packet.bytes, packet.at, guePort);
}

function findTunnel4(packet: Buffer, at: number, guePort: number | null): Tunnel | null {
  const protocol = packet[9]!;
  const words = packet[0]! & 15;
  const total = packet.readUInt16BE(2);
  const fragment = packet.readUInt16BE(6);
  const tunnel: Tunnel = {
    at,
    v6: false,
    gue: 'none',
    bytes: 20,
    payload: total - 20,
    protocol,
    ecn: packet[1]! & 3,
    source: packet.subarray(12, 16).join('.'),
    options: words > 5,
    lies: words < 5 || total < 20 || total > packet.length,
    damaged: checksum(packet.subarray(0, 20)) !== 0,
    fragment: (fragment & 0x3fff) !== 0,
  };
  if (protocol === 4 || protocol === 41) return tunnel;
  // Only the first fragment says which port it goes to.
  if (protocol !== 17 || words < 5 || (fragment & 0x1fff) !== 0) return null;
  return withGue(tunnel, { datagram: packet.subarray(words * 4), room: total - words * 4, guePort });
}

function findTunnel6(packet: Buffer, at: number, guePort: number | null): Tunnel | null {
  const fragment = packet[6] === 44;
  if (fragment && packet.length < 48) return null;
  const protocol = fragment ? packet[40]! : packet[6]!;
  const payload = packet.readUInt16BE(4);
  const tunnel: Tunnel = {
    at,
    v6: true,
    gue: 'none',
    bytes: 40,
    payload,
    protocol,
    ecn: (packet[1]! >> 4) & 3,
    source: bytesToIp(packet.subarray(8, 24)),
    options: false,
    lies: payload > packet.length - 40,
    damaged: false,
    fragment,
  };
  if (protocol === 4 || protocol === 41) return tunnel;
  if (protocol !== 17 || (fragment && packet.readUInt16BE(42) >= 8)) return null;
  return withGue(tunnel, { datagram: packet.subarray(fragment ? 48 : 40), room: payload, guePort });
}

/** draft-ietf-intarea-gue, section 3: the variant is the upper two bits of the first byte. */
function withGue(
  tunnel: Tunnel,
  { datagram, room, guePort }: { readonly datagram: Buffer; readonly room: number; readonly guePort: number | null },
): Tunnel | null {
  if (guePort === null || datagram.length < 8 || datagram.readUInt16BE(2) !== guePort) return null;
  const length = datagram.readUInt16BE(4);
  const lies = tunnel.lies || length < 8 || (!tunnel.fragment && length > room);
  const found = (protocol: number, header: number): Tunnel => {
    const bytes = tunnel.bytes + 8 + header;
    const plain = (protocol === 4 || protocol === 41) && length >= 8 + header;
    return { ...tunnel, lies, bytes, protocol, payload: length - 8 - header, gue: plain ? 'plain' : 'refused' };
  };
  const [first = 0, protocol = 0, ...flags] = datagram.subarray(8, 12);
  if (datagram.length < 12) return found(0, 0);
  if (first >> 6 === 1) return found(first >> 4 === 4 ? 4 : first >> 4 === 6 ? 41 : 0, 0);
  const plainHeader = first === 0 && flags.every((byte) => byte === 0);
  return found(plainHeader ? protocol : 0, 4);
}

function isWhole4(packet: Buffer, room: number): boolean {
  if (packet.length < 20 || packet[0]! >> 4 !== 4 || (packet[0]! & 15) < 5) return false;
  const total = packet.readUInt16BE(2);
  return total >= (packet[0]! & 15) * 4 && total <= room;
}

function isWhole6(packet: Buffer, room: number): boolean {
  return packet.length >= 40 && packet[0]! >> 4 === 6 && packet.readUInt16BE(4) + 40 <= room;
}

/** RFC 6040, figure 4: rows by the inner field, columns by the outer one (Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3). */
const figure4: readonly (readonly (number | null)[])[] = [
  [0, 0, 0, null],
  [1, 1, 1, 3],
  [2, 1, 2, 3],
  [3, 3, 3, 3],
];

function mergeEcn(outerField: number, innerField: number): number | null {
  return figure4[innerField]![outerField]!;
}

/**
 * The checksum moves by the difference, so that a wrong one stays as wrong as it was: eqn. 3 of RFC 1624.
 */
function withEcn4(packet: Buffer, ecn: number): Buffer {
  const copy = Buffer.from(packet);
  const before = copy.readUInt16BE(0);
  copy[1] = (copy[1]! & 0xfc) | ecn;
  const after = copy.readUInt16BE(0);
  if (after === before) return copy;
  let sum = (~copy.readUInt16BE(10) & 0xffff) + (~before & 0xffff) + after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  copy.writeUInt16BE(~sum & 0xffff, 10);
  return copy;
}

function withEcn6(packet: Buffer, ecn: number): Buffer {
  const copy = Buffer.from(packet);
  copy[1] = (copy[1]! & 0xcf) | (ecn << 4);
  return copy;
}
