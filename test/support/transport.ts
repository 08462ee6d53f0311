/** TCP, UDP, ICMP: what test/support/frame.ts puts into IP packets. */
import { internetChecksum } from './checksum.js';
import type { Payload } from './frame.js';

const flagBits = { F: 1, S: 2, R: 4, P: 8, A: 16, U: 32 } as const;

export const tcpFlags = (letters: string): number =>
  [...letters].reduce((bits, letter) => bits | flagBits[letter as keyof typeof flagBits], 0);

export interface TcpHead {
  from: number;
  to: number;
  /** Letters of FSRPAU. */
  flags?: string;
  sequence?: number;
  /** Whole words. */
  options?: Uint8Array;
}

export function tcp(head: TcpHead, data: Uint8Array | string = ''): Payload {
  const options = head.options ?? new Uint8Array(0);
  const segment = Buffer.concat([Buffer.alloc(20), options, Buffer.from(data)]);
  segment.writeUInt16BE(head.from, 0);
  segment.writeUInt16BE(head.to, 2);
  segment.writeUInt32BE(head.sequence ?? 1, 4);
  segment[12] = (5 + options.length / 4) << 4;
  segment[13] = tcpFlags(head.flags ?? 'A');
  segment.writeUInt16BE(0xffff, 14);
  return { protocol: 6, bytes: (pseudo) => summed(segment, 16, pseudo) };
}

export function udp(head: { from: number; to: number; length?: number }, data: Uint8Array | string = ''): Payload {
  const datagram = Buffer.concat([Buffer.alloc(8), Buffer.from(data)]);
  datagram.writeUInt16BE(head.from, 0);
  datagram.writeUInt16BE(head.to, 2);
  datagram.writeUInt16BE(head.length ?? datagram.length, 4);
  return { protocol: 17, bytes: (pseudo) => summed(datagram, 6, pseudo) };
}

/** ICMP as IPv4 carries it: "fragmentation needed", echo... */
export function icmp4(type: number, code: number, data: Uint8Array = new Uint8Array(4)): Payload {
  const message = Buffer.concat([Uint8Array.of(type, code, 0, 0), data]);
  message.writeUInt16BE(internetChecksum(message), 2);
  return { protocol: 1, bytes: () => message };
}

export function icmp6(type: number, code: number, data: Uint8Array = new Uint8Array(4)): Payload {
  const message = Buffer.concat([Uint8Array.of(type, code, 0, 0), data]);
  return { protocol: 58, bytes: (pseudo) => summed(message, 2, pseudo) };
}

/** Any other protocol. */
export function raw(protocol: number, data: Uint8Array | string): Payload {
  return { protocol, bytes: () => Buffer.from(data) };
}

function summed(segment: Buffer, at: number, pseudo: (length: number) => Uint8Array): Buffer {
  const copy = Buffer.from(segment);
  copy.writeUInt16BE(0, at);
  copy.writeUInt16BE(internetChecksum(pseudo(copy.length), copy), at);
  return copy;
}
