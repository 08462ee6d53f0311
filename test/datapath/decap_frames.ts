/** Frames for the decapsulator, by layers: ethernet(..., ipv4(..., ipv4(...))). */
import { type Ip, ipToPlainBytes, parseMac } from '../../src/base/ip.js';

export const ownMac = '02:00:00:00:00:11';
export const routerMac = '02:00:00:00:00:01';

export const protocol = { ipip: 4, tcp: 6, udp: 17, ipv6: 41, fragment: 44 } as const;

export interface IpFields {
  readonly source?: Ip;
  readonly destination?: Ip;
  readonly protocol?: number;
  /** Whole byte: DSCP and ECN. */
  readonly trafficClass?: number;
  /** What the header claims, if not the truth: IPv4 total length, IPv6 payload length. */
  readonly length?: number;
  /** IPv4: flags and offset. */
  readonly fragment?: number;
  /** IPv4: multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** IPv4: if not the true one. */
  readonly checksum?: number;
}

export function ethernet(
  payload: Uint8Array,
  options: { readonly to?: string; readonly tags?: readonly number[]; readonly type?: number } = {},
): Buffer {
  const { to = ownMac, tags = [], type = payload[0]! >> 4 === 4 ? 0x0800 : 0x86dd } = options;
  const words = [...tags.flatMap((id, index) => [tags.length === 2 && index === 0 ? 0x88a8 : 0x8100, id]), type];
  return Buffer.concat([
    parseMac(to)!,
    parseMac(routerMac)!,
    Buffer.from(words.flatMap((word) => [word >> 8, word & 255])),
    payload,
  ]);
}

export function ipv4(payload: Uint8Array, fields: IpFields = {}): Buffer {
  const options = fields.options ?? new Uint8Array(0);
  const header = Buffer.alloc(20 + options.length);
  header.set([0x40 + header.length / 4, fields.trafficClass ?? 0]);
  header.writeUInt16BE(fields.length ?? header.length + payload.length, 2);
  header.writeUInt16BE(fields.fragment ?? 0x4000, 6);
  header.set([64, fields.protocol ?? protocol.udp], 8);
  header.set(ipToPlainBytes(fields.source ?? '192.0.2.1'), 12);
  header.set(ipToPlainBytes(fields.destination ?? '198.51.100.7'), 16);
  header.set(options, 20);
  header.writeUInt16BE(fields.checksum ?? checksum(header), 10);
  return Buffer.concat([header, payload]);
}

export function ipv6(payload: Uint8Array, fields: IpFields = {}): Buffer {
  const header = Buffer.alloc(40);
  const trafficClass = fields.trafficClass ?? 0;
  header.set([0x60 | (trafficClass >> 4), (trafficClass & 15) << 4]);
  header.writeUInt16BE(fields.length ?? payload.length, 4);
  header.set([fields.protocol ?? protocol.udp, 64], 6);
  header.set(ipToPlainBytes(fields.source ?? '2001:db8:1::1'), 8);
  header.set(ipToPlainBytes(fields.destination ?? '2001:db8::7'), 24);
  return Buffer.concat([header, payload]);
}

export type Kind = '4in4' | '6in6' | '4in6' | '6in4';
export const kinds: readonly Kind[] = ['4in4', '6in6', '4in6', '6in4'];
export const gueKinds = ['gue4', 'gue6'] as const;
export type GueKind = (typeof gueKinds)[number];

export const isInner6 = (kind: Kind): boolean => kind.startsWith('6');
export const isOuter6 = (kind: Kind | GueKind): boolean => kind.endsWith('6');

/** The client's packet. */
export function inner(kind: Kind, fields: IpFields = {}): Buffer {
  const payload = Buffer.from('a client says hello');
  return isInner6(kind) ? ipv6(payload, fields) : ipv4(payload, fields);
}

/** What the load balancer makes of it. */
export function outer(kind: Kind, packet: Uint8Array, fields: IpFields = {}): Buffer {
  const inside = isInner6(kind) ? protocol.ipv6 : protocol.ipip;
  return around(isOuter6(kind), packet, { protocol: inside, ...fields });
}

export interface GueFields {
  readonly port?: number;
  /** Length that the UDP header claims. */
  readonly udpLength?: number;
  readonly udpChecksum?: number;
  /** Bytes between UDP header and packet; none: variant 1. */
  readonly header?: readonly number[];
}

/** GUE: the packet in UDP, by default as variant 1, straight behind the UDP header. */
export function gue(kind: GueKind, packet: Uint8Array, fields: IpFields & GueFields = {}): Buffer {
  const header = Buffer.from(fields.header ?? []);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(0xd431, 0);
  udp.writeUInt16BE(fields.port ?? 6080, 2);
  udp.writeUInt16BE(fields.udpLength ?? 8 + header.length + packet.length, 4);
  udp.writeUInt16BE(fields.udpChecksum ?? 0, 6);
  return around(isOuter6(kind), Buffer.concat([udp, header, packet]), { protocol: protocol.udp, ...fields });
}

function around(v6: boolean, payload: Uint8Array, fields: IpFields): Buffer {
  return v6
    ? ipv6(payload, { source: '2001:db8:200::11', destination: '2001:db8:200::21', ...fields })
    : ipv4(payload, { source: '203.0.113.11', destination: '203.0.113.21', ...fields });
}

/** RFC 1071 over a header whose checksum field is 0. */
export function checksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
