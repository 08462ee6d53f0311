/** Tables and cores in memory alone, and the bytes of the wire as src/sync/README.md has them, written once more. */
import { SyncCore, type SyncCoreOptions, SyncTable, syncMac } from '../../src/dataplane/addon.js';
import { packValue } from './sweep-model.js';

export const TICK_NS = 250_000_000n;
export const SERVICES = 5;
export const BACKENDS = 9;
const LOG_ENTRIES = 16384;
export const LOG_BYTES = 128 + LOG_ENTRIES * 8;
export const HEADER = 40;
export const MAC = 16;

export const serviceWire = (id: number): number => 0x5000_0000 + id;
export const backendWire = (id: number): number => 0xb000_0000 + id;

/** `shift`: how much further this node's numbers are than those of a node that began at the same time. */
export function dictionary(shift = 0, timeout = 4000) {
  const services = SERVICES + shift + 1;
  const backends = BACKENDS + shift + 1;
  return {
    serviceWire: Uint32Array.from({ length: services }, (_, id) => (id <= shift ? 0 : serviceWire(id - shift))),
    servicePool: Uint16Array.from({ length: services }, () => 1),
    serviceProtocol: new Uint8Array(services).fill(6),
    backendWire: Uint32Array.from({ length: backends }, (_, id) => (id <= shift ? 0 : backendWire(id - shift))),
    backendPool: Uint16Array.from({ length: backends }, () => 1),
    timeouts: new Uint16Array(services * 4).fill(timeout),
  };
}

export interface Row {
  readonly tag: bigint;
  /** As on the wire: without shift. */
  readonly service: number;
  readonly backend: number;
  readonly state: number;
  /** Tick. */
  readonly seen: number;
}

export interface WireRow extends Omit<Row, 'seen'> {
  readonly age: number;
  readonly v6?: boolean;
  readonly port?: number;
}

export interface TestTable {
  readonly table: SyncTable;
  readonly words: BigUint64Array;
  readonly details: DataView;
  readonly sessions: ArrayBuffer;
  setTick(tick: number): void;
  /** Writes a slot as the data path would; returns its number. */
  put(slot: number, row: Row): void;
  rows(): Row[];
  /** Where the data path looks for it. */
  bucketsOf(tag: bigint): readonly [number, number];
}

export function makeTable(
  options: { buckets?: number; shift?: number; tick?: number; timeout?: number } = {},
): TestTable {
  const { buckets = 64, shift = 0, tick = 5000, timeout = 4000 } = options;
  const sessions = new ArrayBuffer(buckets * 64);
  const details = new ArrayBuffer(buckets * 4 * 32);
  const table = new SyncTable({ sessions, details });
  table.setDictionary(dictionary(shift, timeout));
  const setTick = (now: number): void => table.setClock({ tick: now & 0xffffff, monotonicNs: 0n, tickNs: 0 });
  setTick(tick);
  const words = new BigUint64Array(sessions);
  const view = new DataView(details);
  return {
    table,
    words,
    sessions,
    details: view,
    setTick,
    bucketsOf(tag) {
      const first = Number(((tag & 0xffff_ffffn) * BigInt(buckets)) >> 32n);
      const second = Number(((tag >> 32n) * BigInt(buckets)) >> 32n);
      return [first, second !== first ? second : (first + 1) % buckets];
    },
    put(slot, { tag, service, backend, state, seen }) {
      words[slot * 2] = tag;
      words[slot * 2 + 1] = packValue({
        service: service + shift,
        backend: backend + shift,
        state,
        seen: seen & 0xffffff,
      });
      new Uint8Array(details, slot * 32, 16).set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, slot & 255]);
      view.setUint16(slot * 32 + 16, 40_000);
      view.setUint32(slot * 32 + 24, Number(tag >> 32n), true);
    },
    rows() {
      const rows: Row[] = [];
      for (let slot = 0; slot < words.length / 2; slot++) {
        const tag = words[slot * 2]!;
        const value = words[slot * 2 + 1]!;
        if (tag === 0n || value === 0n) continue;
        rows.push({
          tag,
          backend: Number(value & 0xffffn) - shift,
          service: Number((value >> 16n) & 0xffffn) - shift,
          seen: Number((value >> 32n) & 0xffffffn),
          state: Number((value >> 56n) & 0xfn),
        });
      }
      return rows.sort((a, b) => (a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : 0));
    },
  };
}

export function recordBytes(row: WireRow): Uint8Array {
  const bytes = new Uint8Array(row.v6 ? 36 : 24);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, row.tag, true);
  view.setUint32(8, serviceWire(row.service), true);
  view.setUint32(12, backendWire(row.backend), true);
  bytes.set(row.v6 ? [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7] : [192, 0, 2, 7], 16);
  view.setUint16(bytes.length - 4, row.port ?? 40_000);
  bytes[bytes.length - 2] = row.state;
  bytes[bytes.length - 1] = row.age;
  return bytes;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** As PeerSessions.records. */
export function packRecords(rows: readonly WireRow[]): Uint8Array {
  const four = rows.filter(({ v6 }) => !v6);
  const six = rows.filter(({ v6 }) => v6);
  const counts = new Uint8Array(Uint32Array.of(four.length, six.length).buffer);
  return concat(counts, ...[...four, ...six].map(recordBytes));
}

export const KEY = { id: 7, key: Uint8Array.from({ length: 32 }, (_, i) => i) };

export interface Header {
  readonly magic?: number;
  readonly version?: number;
  readonly kind: number;
  readonly bytes4?: number;
  readonly bytes6?: number;
  readonly node: number;
  readonly key?: number;
  readonly boot: bigint;
  readonly sequence: bigint;
  readonly count4?: number;
  readonly count6?: number;
  readonly bodyBytes?: number;
}

export function datagram(header: Header, body: Uint8Array, key = KEY): Uint8Array {
  const bytes = new Uint8Array(HEADER + body.length + MAC);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.magic ?? 0x31535753, true);
  bytes.set([header.version ?? 1, header.kind, header.bytes4 ?? 24, header.bytes6 ?? 36], 4);
  view.setUint32(8, header.node, true);
  view.setUint32(12, header.key ?? key.id, true);
  view.setBigUint64(16, header.boot, true);
  view.setBigUint64(24, header.sequence, true);
  view.setUint16(32, header.count4 ?? 0, true);
  view.setUint16(34, header.count6 ?? 0, true);
  view.setUint32(36, header.bodyBytes ?? body.length, true);
  bytes.set(body, HEADER);
  bytes.set(syncMac(key.key, bytes.subarray(0, bytes.length - MAC)), bytes.length - MAC);
  return bytes;
}

export function data(
  options: { node: number; boot?: bigint; sequence: bigint },
  rows: readonly WireRow[] = [],
): Uint8Array {
  const packed = packRecords(rows);
  const counts = new DataView(packed.buffer);
  return datagram(
    { kind: 1, boot: 1n, ...options, count4: counts.getUint32(0, true), count6: counts.getUint32(4, true) },
    packed.subarray(8),
  );
}

/** `last`: the sequence of the last DATA before it. */
export function control(
  options: { node: number; boot?: bigint; sequence: bigint; last?: bigint },
  body: Uint8Array,
): Uint8Array {
  const { last = 0n, ...header } = options;
  return datagram({ kind: 2, boot: 1n, ...header }, concat(new Uint8Array(BigUint64Array.of(last).buffer), body));
}

export function nack(
  options: { node: number; boot?: bigint; sequence: bigint },
  of: { node: number; boot: bigint; ranges: readonly (readonly [bigint, number])[] },
): Uint8Array {
  const body = new Uint8Array(16 + of.ranges.length * 16);
  const view = new DataView(body.buffer);
  view.setUint32(0, of.node, true);
  view.setBigUint64(8, of.boot, true);
  for (const [i, [first, count]] of of.ranges.entries()) {
    view.setBigUint64(16 + i * 16, first, true);
    view.setUint32(24 + i * 16, count, true);
  }
  return datagram({ kind: 3, boot: 1n, ...options }, body);
}

/** struct session_log of one CPU, as the data path writes it. */
export class TestLog {
  readonly buffer: ArrayBuffer;
  readonly #words: BigUint64Array;
  constructor(cpus = 1) {
    this.buffer = new ArrayBuffer(LOG_BYTES * cpus);
    this.#words = new BigUint64Array(this.buffer);
  }
  get head(): bigint {
    return this.#words[0]!;
  }
  get tail(): bigint {
    return this.#words[8]!;
  }
  write(slot: number): void {
    const n = this.#words[0]!;
    this.#words[0] = n + 1n;
    this.#words[16 + Number(n % BigInt(LOG_ENTRIES))] = (BigInt(slot) << 32n) | ((n + 1n) & 0xffff_ffffn);
  }
  /** Counted, and not yet written. */
  announce(): void {
    this.#words[0] = this.#words[0]! + 1n;
  }
}

export const FROM = { address: '192.0.2.1', port: 6000 };

export function makeCore(options: Partial<SyncCoreOptions> & { table: SyncTable }): SyncCore {
  return new SyncCore({ log: null, node: 1, boot: 1n, keys: [KEY], recordsPerSecond: 1_000_000, ...options });
}

export const ms = (n: number): bigint => BigInt(n) * 1_000_000n;
