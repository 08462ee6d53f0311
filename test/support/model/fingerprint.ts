/** NH over little-endian words and the mixer after it, as the comment of bpf/fingerprint.h has them. */
import type { FlowKey } from '../../../src/compile/fingerprint.js';
import type { Addresses, Parsed } from './parse.js';

const word32 = (1n << 32n) - 1n;
const word64 = (1n << 64n) - 1n;

function littleEndianWords(bytes: Buffer): bigint[] {
  return Array.from({ length: bytes.length / 4 }, (_, i) => BigInt(bytes.readUInt32LE(i * 4)));
}

/** Sum of (w0 + k0)(w1 + k1) over pairs of words, from key word `from` on. */
function nh(words: readonly bigint[], key: FlowKey, from: number): bigint {
  let sum = 0n;
  for (let i = 0; i < words.length; i += 2) {
    const left = (words[i]! + BigInt(key.words[from + i]!)) & word32;
    const right = (words[i + 1]! + BigInt(key.words[from + i + 1]!)) & word32;
    sum = (sum + left * right) & word64;
  }
  return sum;
}

function mix(sum: bigint, [first, second]: readonly bigint[]): bigint {
  let h = sum ^ first!;
  h ^= h >> 32n;
  h = (h * 0x9fb2_1c65_1e98_df25n) & word64;
  h ^= h >> 29n;
  h = (h * (second! | 1n)) & word64;
  h ^= h >> 32n;
  return h === 0n ? 1n : h;
}

function fingerprint(words: Buffer, protocol: number, { source, destination }: Addresses, key: FlowKey): bigint {
  const all = [words, source, destination].map(littleEndianWords);
  return mix(nh([...all[0]!, BigInt(protocol), ...all[1]!, ...all[2]!], key, 0), key.finish);
}

/** Protocol and ports beside the addresses of a packet. */
export interface FlowParts {
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

export function flowFingerprint(addresses: Addresses, flow: FlowParts, key: FlowKey): bigint {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(flow.sourcePort, 0);
  ports.writeUInt16BE(flow.destinationPort, 2);
  return fingerprint(ports, flow.protocol, addresses, key);
}

/** Two cells of one client (IPv6: of one /64) and one limit. */
export function sourceCellsOf(
  flow: Parsed,
  { limit, cells, key }: { limit: number; cells: number; key: FlowKey },
): readonly [number, number] {
  const client = littleEndianWords(flow.source).slice(0, 2);
  const words = flow.v6 ? [BigInt(limit), 1n, ...client] : [BigInt(limit), 0n, ...client, 0n];
  const hash = mix(nh(words, key, 0), key.finish);
  const first = Number(((hash & 0xffff_ffffn) * BigInt(cells)) >> 32n);
  const second = Number(((hash >> 32n) * BigInt(cells)) >> 32n);
  return [first, first === second ? (first + 1) % cells : second];
}

/** Of all fragments of one datagram: IPv6 tells them by addresses and identification alone. */
export function datagramFingerprint(packet: Parsed, key: FlowKey): bigint {
  return fingerprint(packet.fragmentId, packet.v6 ? 44 : packet.protocol, packet, key);
}

function nhSource(flow: Addresses, key: FlowKey): bigint {
  const words = littleEndianWords(flow.source);
  return nh(flow.v6 ? words : [...words, 0n], key, 2);
}

export function sourceFingerprint(flow: Addresses, key: FlowKey): bigint {
  return mix(nhSource(flow, key), key.finish);
}

/** Of a QUIC flow that no connection id directs. */
export function quicFallbackTag(tag: bigint): bigint {
  const other = tag ^ 0x5143_4820_6f72_206en;
  return other === 0n ? 1n : other;
}

/** Of a client's entry at a listener, given by its identity: key words that no flow's tag uses. */
export function sourceEntryTag(flow: Addresses, { identity }: { identity: bigint }, key: FlowKey): bigint {
  const words = [identity & word32, identity >> 32n];
  return mix((nhSource(flow, key) + nh(words, key, 10)) & word64, key.finish);
}
