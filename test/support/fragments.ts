/** A datagram in fragments, and IPv6 extension headers one by one. */
import { ipToPlainBytes } from '../../src/base/ip.js';
import { type Ip4Head, type Ip6Head, type IpPacket, ip4, ip6, type Payload } from './frame.js';
import { raw } from './transport.js';

export interface FragmentHead {
  /** In bytes; a multiple of 8. */
  readonly offset: number;
  readonly more: boolean;
  readonly id: number;
}

/** An extension header; `rest` is what comes after next header and length, and fills whole units of 8 bytes. */
export function header6(kind: number, payload: Payload, rest: Uint8Array = Uint8Array.of(1, 4, 0, 0, 0, 0)): Payload {
  const length = kind === 51 ? (rest.length + 2) / 4 - 2 : (rest.length + 2) / 8 - 1;
  return {
    protocol: kind,
    bytes: (pseudo) => Buffer.concat([Uint8Array.of(payload.protocol, length), rest, payload.bytes(pseudo)]),
  };
}

/** IPv6's fragment header. */
export function fragment6({ offset, more, id }: FragmentHead, payload: Payload): Payload {
  const head = Buffer.alloc(8);
  head[0] = payload.protocol;
  head.writeUInt16BE(offset | (more ? 1 : 0), 2);
  head.writeUInt32BE(id, 4);
  return { protocol: 44, bytes: (pseudo) => Buffer.concat([head, payload.bytes(pseudo)]) };
}

/** The fragments of one datagram in order, `bytes` of its payload (a multiple of 8) in each but the last. */
export function inFragments(
  head: (Ip4Head | Ip6Head) & { readonly id: number },
  payload: Payload,
  bytes: number,
): IpPacket[] {
  const whole = payload.bytes(pseudoOf(head, payload.protocol));
  const offsets = Array.from({ length: Math.ceil(whole.length / bytes) }, (_, i) => i * bytes);
  return offsets.map((offset) => {
    const piece = raw(payload.protocol, whole.subarray(offset, offset + bytes));
    const more = offset + bytes < whole.length;
    if (head.from.includes(':')) return ip6(head, fragment6({ offset, more, id: head.id }, piece));
    return ip4({ ...head, fragment: (more ? 0x2000 : 0) | (offset / 8) }, piece);
  });
}

/** What TCP and UDP sum up beside themselves. */
function pseudoOf({ from, to }: { from: string; to: string }, protocol: number): (length: number) => Uint8Array {
  const addresses = Buffer.concat([ipToPlainBytes(from), ipToPlainBytes(to)]);
  return (length) => {
    const v6 = from.includes(':');
    const tail = Buffer.alloc(v6 ? 8 : 4);
    tail.writeUInt16BE(length, v6 ? 2 : 2);
    tail[v6 ? 7 : 1] = protocol;
    return Buffer.concat([addresses, tail]);
  };
}
