/** What the decapsulator should do, written from bpf/abi_decap.h and the RFCs and not from the program. */
import { bytesToIp, formatMac, type Ip } from '../../src/base/ip.js';
import { checksum } from './decap_frames.js';

export interface ModelRules {
  readonly macs: readonly string[];
  /** Null: any. */
  readonly isSource: ((ip: Ip) => boolean) | null;
  readonly isVip: ((ip: Ip) => boolean) | null;
}

export interface Outcome {
  readonly reason: string;
  readonly verdict: 'pass' | 'drop';
  readonly frame: Buffer;
}

export function decapsulate(frame: Buffer, rules: ModelRules): Outcome {
  const untouched = (reason: string): Outcome => ({ reason, verdict: 'pass', frame });
  const dropped = (reason: string): Outcome => ({ reason, verdict: 'drop', frame });
  const tunnel = findTunnel(frame);
  if (tunnel === null) return untouched('pass_not_tunnel');
  if (!rules.macs.includes(formatMac(frame.subarray(0, 6)))) return untouched('pass_other_mac');
  if (rules.isSource !== null && !rules.isSource(tunnel.source)) return untouched('pass_source');
  if (tunnel.options) return untouched('pass_options');
  if (tunnel.lies) return dropped('drop_malformed');
  if (tunnel.damaged) return dropped('drop_checksum');
  if (tunnel.fragment) return dropped('drop_fragment');
  const rest = frame.subarray(tunnel.at + tunnel.bytes);
  const v6 = tunnel.protocol === 41;
  if (!(v6 ? isWhole6(rest, tunnel.payload) : isWhole4(rest, tunnel.payload))) return dropped('drop_inner');
  const destination = v6 ? bytesToIp(rest.subarray(24, 40)) : rest.subarray(16, 20).join('.');
  if (rules.isVip !== null && !rules.isVip(destination)) return untouched('pass_not_vip');
  const ecn = mergeEcn(tunnel.ecn, v6 ? (rest[1]! >> 4) & 3 : rest[1]! & 3);
  if (ecn === null) return dropped('drop_ecn');
  const head = Buffer.from(frame.subarray(0, tunnel.at));
  head.writeUInt16BE(v6 ? 0x86dd : 0x0800, tunnel.at - 2);
  const reason = v6 ? 'stripped_6in6' : tunnel.bytes === 20 ? 'stripped_4in4' : 'stripped_4in6';
  return { reason, verdict: 'pass', frame: Buffer.concat([head, v6 ? withEcn6(rest, ecn) : withEcn4(rest, ecn)]) };
}

interface Tunnel {
  readonly at: number;
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

function findTunnel(frame: Buffer): Tunnel | null {
  let at = 14;
  let type = frame.readUInt16BE(12);
  for (let tags = 0; tags < 2 && (type === 0x8100 || type === 0x88a8); tags++) {
    if (frame.length < at + 4) return null;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  const packet = frame.subarray(at);
  if (type === 0x0800) return findTunnel4(packet, at);
  return type === 0x86dd ? findTunnel6(packet, at) : null;
}

function findTunnel4(packet: Buffer, at: number): Tunnel | null {
  if (packet.length < 20 || packet[0]! >> 4 !== 4 || packet[9] !== 4) return null;
  const words = packet[0]! & 15;
  const total = packet.readUInt16BE(2);
  return {
    at,
    bytes: 20,
    payload: total - 20,
    protocol: 4,
    ecn: packet[1]! & 3,
    source: packet.subarray(12, 16).join('.'),
    options: words > 5,
    lies: words < 5 || total < 20 || total > packet.length,
    damaged: checksum(packet.subarray(0, 20)) !== 0,
    fragment: (packet.readUInt16BE(6) & 0x3fff) !== 0,
  };
}

function findTunnel6(packet: Buffer, at: number): Tunnel | null {
  if (packet.length < 40 || packet[0]! >> 4 !== 6) return null;
  const fragment = packet[6] === 44;
  if (fragment && packet.length < 48) return null;
  const protocol = fragment ? packet[40]! : packet[6]!;
  if (protocol !== 41 && protocol !== 4) return null;
  const payload = packet.readUInt16BE(4);
  return {
    at,
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
