/** Packets of mapped flows: mostly right, of every kind that mapping looks into, for fast-check. */
import fc from 'fast-check';
import type { PortMapping } from '../../src/backend/mapping.js';
import { internetChecksum } from '../support/checksum.js';
import { ethernet, type IpPacket, ip4, ip6, type Payload, vlan } from '../support/frame.js';
import { icmp4, icmp6, raw, tcp, udp } from '../support/transport.js';
import { ownMac } from './decap_frames.js';

export const vip4 = '192.0.2.10';
export const vip6 = '2001:db8:10::10';
export const host4 = '203.0.113.21';
export const host6 = '2001:db8:200::21';
export const client4 = '198.51.100.2';
export const client6 = '2001:db8:100::2';
export const lb4 = '203.0.113.11';
export const lb6 = '2001:db8:200::11';

export const mappings: readonly PortMapping[] = [
  { protocol: 'tcp', vip: vip4, vipPort: 80, host: host4, hostPort: 8080 },
  { protocol: 'udp', vip: vip4, vipPort: 53, host: host4, hostPort: 5353 },
  { protocol: 'tcp', vip: vip6, vipPort: 80, host: host6, hostPort: 8080 },
  { protocol: 'udp', vip: vip6, vipPort: 53, host: host6, hostPort: 5353 },
  // The VIP's own address, on lo: the port alone changes.
  { protocol: 'tcp', vip: vip4, vipPort: 443, host: vip4, hostPort: 8443 },
];

/** Who talks to whom, from where to where. */
export interface Flow {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly toPort: number;
}

export const ip = (from: string, to: string, payload: Payload, more: Record<string, unknown> = {}): IpPacket =>
  from.includes(':') ? ip6({ from, to, ...more }, payload) : ip4({ from, to, ...more }, payload);

export const frameOf = (packet: IpPacket | Uint8Array, tags: readonly number[] = []): Buffer =>
  packet instanceof Uint8Array
    ? ethernet({ to: ownMac, type: packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd }, ...tags.map((id) => vlan(id)), packet)
    : ethernet({ to: ownMac }, ...tags.map((id) => vlan(id)), packet);

export const bytesOf = (packet: IpPacket): Buffer => packet.bytes(() => new Uint8Array(0));

/** An ICMP error from `router` to `to`, quoting so many bytes of a packet. */
export function icmpError(router: string, to: string, quoted: Uint8Array): IpPacket {
  const rest = Buffer.concat([Buffer.from([0, 0, 0x05, 0x78]), quoted]);
  return to.includes(':') ? ip(router, to, icmp6(2, 0, rest)) : ip(router, to, icmp4(3, 4, rest));
}

/** A piece of an IP packet's payload, as IPv4 or IPv6 fragments carry it. */
export function fragmentOf(
  packet: IpPacket,
  piece: { readonly at: number; readonly bytes: number; readonly id: number },
): Buffer {
  const whole = bytesOf(packet);
  const v6 = whole[0]! >> 4 === 6;
  const header = Buffer.from(whole.subarray(0, v6 ? 40 : 20));
  const payload = whole.subarray(header.length);
  const part = payload.subarray(piece.at, piece.at + piece.bytes);
  const more = piece.at + piece.bytes < payload.length;
  if (!v6) {
    header.writeUInt16BE(header.length + part.length, 2);
    header.writeUInt16BE(piece.id, 4);
    header.writeUInt16BE((more ? 0x2000 : 0) | (piece.at / 8), 6);
    header.writeUInt16BE(0, 10);
    header.writeUInt16BE(internetChecksum(header), 10);
    return Buffer.concat([header, part]);
  }
  const extension = Buffer.alloc(8);
  extension[0] = header[6]!;
  extension.writeUInt16BE(piece.at | (more ? 1 : 0), 2);
  extension.writeUInt32BE(piece.id, 4);
  header[6] = 44;
  header.writeUInt16BE(extension.length + part.length, 4);
  return Buffer.concat([header, extension, part]);
}

/** True when every checksum of a whole packet without fragments is right. */
export function isSound(packet: Buffer): boolean {
  const v6 = packet[0]! >> 4 === 6;
  const length = v6 ? 40 : (packet[0]! & 15) * 4;
  if (!v6 && internetChecksum(packet.subarray(0, length)) !== 0) return false;
  const protocol = v6 ? packet[6]! : packet[9]!;
  const payload = packet.subarray(length);
  if (protocol === 17 && payload.readUInt16BE(6) === 0) return true;
  if (protocol === 1) return internetChecksum(payload) === 0;
  const addresses = v6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
  const tail = Buffer.from([0, protocol, payload.length >> 8, payload.length & 255]);
  return internetChecksum(addresses, tail, payload) === 0;
}

const address = (v6: boolean, role: 'vip' | 'host' | 'client' | 'lb'): string =>
  ({ vip: v6 ? vip6 : vip4, host: v6 ? host6 : host4, client: v6 ? client6 : client4, lb: v6 ? lb6 : lb4 })[role];

const transportOf = (made: {
  readonly protocol: 'tcp' | 'udp';
  readonly flow: Flow;
  readonly data: string;
  readonly unsummed: boolean;
}): Payload => {
  const { flow, protocol, data, unsummed } = made;
  const ports = { from: flow.fromPort, to: flow.toPort };
  const payload = protocol === 'tcp' ? tcp(ports, data) : udp(ports, data);
  if (!unsummed || protocol === 'tcp') return payload;
  return {
    ...payload,
    bytes: (pseudo) => {
      const bytes = payload.bytes(pseudo);
      bytes.writeUInt16BE(0, 6);
      return bytes;
    },
  };
};

/** A packet of a client to a VIP (`in`) or of the host to a client (`out`), or what tells of one. */
export function somePacket(direction: 'in' | 'out'): fc.Arbitrary<Buffer> {
  const own = direction === 'in' ? ('vip' as const) : ('host' as const);
  return fc
    .record({
      v6: fc.boolean(),
      protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'udp'),
      kind: fc.constantFrom('whole', 'whole', 'icmp', 'icmp', 'first', 'later', 'options', 'other'),
      own: fc.constantFrom(own, own, own, own, 'vip' as const),
      client: fc.constantFrom('client' as const, 'client' as const, 'client' as const, 'lb' as const),
      ownPort: fc.constantFrom(80, 53, 443, 8080, 5353, 8443, 22),
      clientPort: fc.constantFrom(40_000, 80, 8080),
      data: fc.constantFrom('', 'x', 'a client says hello', 'p'.repeat(64)),
      unsummed: fc.constantFrom(false, false, true),
      quotedBytes: fc.nat(120),
      id: fc.nat(3),
      tags: fc.constantFrom<readonly number[]>([], [], [5], [6, 5]),
    })
    .map((made) => {
      const { v6, kind, id } = made;
      const [us, them] = [address(v6, made.own), address(v6, made.client)];
      const toUs: Flow = { from: them, fromPort: made.clientPort, to: us, toPort: made.ownPort };
      const fromUs: Flow = { from: us, fromPort: made.ownPort, to: them, toPort: made.clientPort };
      const [flow, back] = direction === 'in' ? [toUs, fromUs] : [fromUs, toUs];
      const packetOf = (one: Flow, more: Record<string, unknown> = {}) =>
        ip(one.from, one.to, transportOf({ ...made, flow: one }), more);
      if (kind === 'icmp') {
        const quoted = bytesOf(packetOf(back)).subarray(0, made.quotedBytes + (v6 ? 40 : 20));
        return frameOf(icmpError(direction === 'in' ? them : us, direction === 'in' ? us : them, quoted), made.tags);
      }
      if (kind === 'first') return frameOf(fragmentOf(packetOf(flow), { at: 0, bytes: 24, id }), made.tags);
      if (kind === 'later') return frameOf(fragmentOf(packetOf(flow), { at: 24, bytes: 64, id }), made.tags);
      if (kind === 'other') return frameOf(ip(flow.from, flow.to, raw(47, 'not ours to know')), made.tags);
      if (kind === 'options' && !v6) {
        return frameOf(packetOf(flow, { options: Uint8Array.of(1, 1, 1, 0), headerWords: 6 }), made.tags);
      }
      if (kind === 'options') return frameOf(withHeaders(packetOf(flow), id), made.tags);
      return frameOf(packetOf(flow), made.tags);
    });
}

/** Destination options in front of the transport, `count` + 1 of them. */
function withHeaders(packet: IpPacket, count: number): Buffer {
  const whole = bytesOf(packet);
  const header = Buffer.from(whole.subarray(0, 40));
  const protocol = header[6]!;
  const extensions = Array.from({ length: count + 1 }, (_, i) =>
    Buffer.from([i === count ? protocol : 60, 0, 1, 4, 0, 0, 0, 0]),
  );
  header[6] = 60;
  header.writeUInt16BE(whole.length - 40 + 8 * extensions.length, 4);
  return Buffer.concat([header, ...extensions, whole.subarray(40)]);
}

/** Some bytes changed, some cut off. */
export function mutated(frames: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      frames,
      fc.array(fc.tuple(fc.nat(140), fc.nat(255)), { maxLength: 3 }),
      fc.oneof({ weight: 5, arbitrary: fc.constant(2000) }, { weight: 1, arbitrary: fc.nat(160) }),
    )
    .map(([frame, changes, length]) => {
      const bytes = Buffer.from(frame.subarray(0, Math.max(14, length)));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
}
