/**
 * The keyed fingerprint of a flow and what follows from it: the same functions as bpf/fingerprint.h, session.h and
 * select.h, for `explain`, the sessions' list and the tests' model.
 */
export interface FlowKey {
  /** 12 words. */
  readonly words: readonly number[];
  /** 2 words. */
  readonly finish: readonly bigint[];
}

export interface FlowAddresses {
  /** 16 bytes each; IPv4-mapped for IPv4. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly v6: boolean;
}

const mask64 = 0xffff_ffff_ffff_ffffn;

function nh(a: number, b: number, key: FlowKey, at: number): bigint {
  const left = (a + key.words[at]!) >>> 0;
  const right = (b + key.words[at + 1]!) >>> 0;
  return BigInt(left) * BigInt(right);
}

function mix(sum: bigint, key: FlowKey): bigint {
  let h = (sum & mask64) ^ key.finish[0]!;
  h ^= h >> 32n;
  h = (h * 0x9fb21c651e98df25n) & mask64;
  h ^= h >> 29n;
  h = (h * (key.finish[1]! | 1n)) & mask64;
  h ^= h >> 32n;
  return h === 0n ? 1n : h;
}

/** Words as a little-endian load sees them. */
function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return [0, 4, 8, 12].map((at) => view.getUint32(at, true));
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

export function flowTag(flow: FlowAddresses, key: FlowKey): bigint {
  const ports = (swap16(flow.sourcePort) | (swap16(flow.destinationPort) << 16)) >>> 0;
  const [s0, s1, s2, s3] = words(flow.source) as [number, number, number, number];
  const [d0, d1, d2, d3] = words(flow.destination) as [number, number, number, number];
  let sum = nh(ports, flow.protocol, key, 0);
  if (flow.v6) {
    sum += nh(s0, s1, key, 2) + nh(s2, s3, key, 4) + nh(d0, d1, key, 6) + nh(d2, d3, key, 8);
  } else {
    sum += nh(s3, d3, key, 2);
  }
  return mix(sum, key);
}

type Source = Pick<FlowAddresses, 'source' | 'v6'>;

function nhSource({ source, v6 }: Source, key: FlowKey): bigint {
  const [s0, s1, s2, s3] = words(source) as [number, number, number, number];
  return v6 ? nh(s0, s1, key, 2) + nh(s2, s3, key, 4) : nh(s3, 0, key, 2);
}

/** Scheduler SCH: over the client's address alone. */
export function sourceTag(flow: Source, key: FlowKey): bigint {
  return mix(nhSource(flow, key), key);
}

/** Of the entry that keeps a client to its backend (bpf/persistence.h). `service`: its row. */
export function sourceEntryTag(flow: Source, service: { identity: bigint }, key: FlowKey): bigint {
  const low = Number(service.identity & 0xffff_ffffn);
  return mix(nhSource(flow, key) + nh(low, Number(service.identity >> 32n), key, 10), key);
}

/** Two cells of a client (IPv6: of its /64) and a limit: `source_cells_of` of bpf/source.h. */
export function sourceCellsOf(
  { source, v6 }: Pick<FlowAddresses, 'source' | 'v6'>,
  { limit, cells, key }: { limit: number; cells: number; key: FlowKey },
): readonly [number, number] {
  const [s0, s1, , s3] = words(source) as [number, number, number, number];
  const client = v6 ? nh(s0, s1, key, 2) : nh(s3, 0, key, 2);
  const hash = mix(nh(limit, v6 ? 1 : 0, key, 0) + client, key);
  const first = Number(((hash & 0xffff_ffffn) * BigInt(cells)) >> 32n);
  const second = Number(((hash >> 32n) * BigInt(cells)) >> 32n);
  return [first, second === first ? (first + 1) % cells : second];
}

/** Of a QUIC flow that goes by its addresses: no tag of another listener's flow. As in bpf/quic.h. */
export function quicFallbackTag(tag: bigint): bigint {
  const other = tag ^ 0x5143_4820_6f72_206en;
  return other === 0n ? 1n : other;
}

export function maglevSlotOf(tag: bigint): number {
  return tableSlotOf(tag, 65537);
}

/** Of a table of so many slots, the one that a hash names. */
export function tableSlotOf(hash: bigint, slots: number): number {
  return Number(((hash >> 32n) * BigInt(slots)) >> 32n);
}

/** The two candidate buckets of a tag among so many. */
export function bucketsOf(tag: bigint, buckets: number): readonly [number, number] {
  const first = Number(((tag & 0xffff_ffffn) * BigInt(buckets)) >> 32n);
  const second = Number(((tag >> 32n) * BigInt(buckets)) >> 32n);
  return [first, second === first ? (first + 1) % buckets : second];
}
