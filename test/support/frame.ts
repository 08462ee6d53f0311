/**
 * Frames, written down from the outside in:
 *
 *   ethernet({ to: lbMac }, vlan(100), ip4({ from: client, to: vip }, tcp({ from: 40_000, to: 80, flags: 'A' })))
 *
 * Lengths and checksums are right unless a field is given. Addresses are text, so that a test can be read.
 */
import { ipToPlainBytes, parseMac } from '../../src/base/ip.js';
import { internetChecksum } from './checksum.js';

/** What an IP packet carries; `pseudo` is its pseudo header's bytes, without which TCP and UDP cannot be summed. */
export interface Payload {
  /** Number in IPv4's protocol and IPv6's next header field. */
  readonly protocol: number;
  bytes(pseudo: (length: number) => Uint8Array): Buffer;
}

/** An IP packet; also the payload of a tunnel. */
export interface IpPacket extends Payload {
  readonly etherType: number;
}

export interface VlanTag {
  readonly tag: number;
  readonly tpid: number;
}

export const routerMac = '02:00:00:00:00:01';

/** A VLAN tag; `tpid` 0x88a8 for the outer one of QinQ. */
export function vlan(id: number, options: { priority?: number; tpid?: number } = {}): VlanTag {
  return { tag: ((options.priority ?? 0) << 13) | id, tpid: options.tpid ?? 0x8100 };
}

export function ethernet(
  head: { to: string; from?: string; type?: number },
  ...rest: readonly (VlanTag | IpPacket | Uint8Array)[]
): Buffer {
  const inner = rest.at(-1) as IpPacket | Uint8Array;
  const tags = rest.slice(0, -1) as VlanTag[];
  const payload = inner instanceof Uint8Array ? inner : inner.bytes(() => new Uint8Array(0));
  const type = head.type ?? (inner instanceof Uint8Array ? 0 : inner.etherType);
  const types = tags.flatMap(({ tpid, tag }) => [tpid, tag]);
  const link = Buffer.alloc(2 * (types.length + 1));
  [...types, type].forEach((word, i) => {
    link.writeUInt16BE(word, 2 * i);
  });
  return Buffer.concat([parseMac(head.to)!, parseMac(head.from ?? routerMac)!, link, payload]);
}

export interface Ip4Head {
  from: string;
  to: string;
  tos?: number;
  ttl?: number;
  id?: number;
  /** The flags and the fragment's offset, as one word; 0x4000 is DF. */
  fragment?: number;
  options?: Uint8Array;
  version?: number;
  headerWords?: number;
  totalLength?: number;
  protocol?: number;
}

export function ip4(head: Ip4Head, payload: Payload): IpPacket {
  return { etherType: 0x0800, protocol: 4, bytes: () => encodeIp4(head, payload) };
}

function encodeIp4(head: Ip4Head, payload: Payload): Buffer {
  const options = head.options ?? new Uint8Array(0);
  const header = Buffer.alloc(20 + options.length);
  const from = ipToPlainBytes(head.from);
  const to = ipToPlainBytes(head.to);
  const body = payload.bytes((length) =>
    Buffer.concat([from, to, Uint8Array.of(0, payload.protocol, length >> 8, length)]),
  );
  header[0] = ((head.version ?? 4) << 4) | (head.headerWords ?? header.length / 4);
  header[1] = head.tos ?? 0;
  header.writeUInt16BE(head.totalLength ?? header.length + body.length, 2);
  header.writeUInt16BE(head.id ?? 0, 4);
  header.writeUInt16BE(head.fragment ?? 0x4000, 6);
  header[8] = head.ttl ?? 64;
  header[9] = head.protocol ?? payload.protocol;
  header.set(from, 12);
  header.set(to, 16);
  header.set(options, 20);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, body]);
}

export interface Ip6Head {
  from: string;
  to: string;
  trafficClass?: number;
  flowLabel?: number;
  hopLimit?: number;
  version?: number;
  payloadLength?: number;
  nextHeader?: number;
}

export function ip6(head: Ip6Head, payload: Payload): IpPacket {
  return { etherType: 0x86dd, protocol: 41, bytes: () => encodeIp6(head, payload) };
}

function encodeIp6(head: Ip6Head, payload: Payload): Buffer {
  const header = Buffer.alloc(40);
  const from = ipToPlainBytes(head.from);
  const to = ipToPlainBytes(head.to);
  const body = payload.bytes((length) => {
    const tail = Buffer.alloc(8);
    tail.writeUInt32BE(length, 0);
    tail[7] = payload.protocol;
    return Buffer.concat([from, to, tail]);
  });
  header.writeUInt32BE(
    (((head.version ?? 6) << 28) | ((head.trafficClass ?? 0) << 20) | (head.flowLabel ?? 0)) >>> 0,
    0,
  );
  header.writeUInt16BE(head.payloadLength ?? body.length, 4);
  header[6] = head.nextHeader ?? payload.protocol;
  header[7] = head.hopLimit ?? 64;
  header.set(from, 8);
  header.set(to, 24);
  return Buffer.concat([header, body]);
}
