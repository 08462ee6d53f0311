import type { TablePort } from '../../../src/sync/ports.js';

const RECORD_BYTES = 24;
const mask64 = 0xffff_ffff_ffff_ffffn;

/** A session table in a Map: what the transfer needs of one, for tests of the transfer alone. Backend by tag. */
export class MemoryTable implements TablePort {
  readonly sessions = new Map<bigint, number>();
  /** Called with each merge; a test breaks things here. */
  onImport: () => void = () => {};
  /** Tags that find no room. */
  refuses: (tag: bigint) => boolean = () => false;

  setDictionary(): number {
    return 0;
  }
  setClock(): void {}

  fill(count: number, { from = 1, backend = 1 }: { from?: number; backend?: number } = {}): this {
    for (let i = 0; i < count; i++) this.sessions.set(tagOf(from + i), backend);
    return this;
  }

  async digest(ranges: number): Promise<{ counts: Uint32Array; sums: BigUint64Array }> {
    const counts = new Uint32Array(ranges);
    const sums = new BigUint64Array(ranges);
    for (const [tag, backend] of this.sessions) {
      const range = rangeOf(tag, ranges);
      counts[range]!++;
      sums[range] = (sums[range]! + (tag ^ BigInt(backend)) * 0x9fb21c651e98df25n) & mask64;
    }
    return { counts, sums };
  }

  async export(options: { cursor: number; limit: number; ranges: number; wanted: Uint8Array | null }) {
    const { cursor, limit, ranges, wanted } = options;
    const isWanted = (tag: bigint): boolean => {
      const range = rangeOf(tag, ranges);
      return wanted === null || (wanted[range >> 3]! & (1 << (range & 7))) !== 0;
    };
    const all = [...this.sessions];
    const part = all.slice(cursor, cursor + limit).filter(([tag]) => isWanted(tag));
    const end = cursor + limit;
    return { records: pack(part), count: part.length, cursor: end < all.length ? end : null };
  }

  async import(records: Uint8Array, _origin: number) {
    this.onImport();
    const merged = { applied: 0, stale: 0, unknown: 0, noRoom: 0 };
    for (const [tag, backend] of unpack(records)) {
      if (this.refuses(tag)) merged.noRoom++;
      else if ((this.sessions.get(tag) ?? 0) >= backend) merged.stale++;
      else {
        this.sessions.set(tag, backend);
        merged.applied++;
      }
    }
    return merged;
  }
}

/** Spread over all ranges. */
export function tagOf(number: number): bigint {
  const tag = (BigInt(number) * 0x9e3779b97f4a7c15n) & mask64;
  return tag ^ (tag >> 31n) || 1n;
}

function rangeOf(tag: bigint, ranges: number): number {
  return ranges <= 1 ? 0 : Number(tag >> BigInt(64 - Math.log2(ranges)));
}

function pack(part: readonly (readonly [bigint, number])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 + part.length * RECORD_BYTES));
  view.setUint32(0, part.length, true);
  part.forEach(([tag, backend], i) => {
    view.setBigUint64(8 + i * RECORD_BYTES, tag, true);
    view.setUint32(8 + i * RECORD_BYTES + 12, backend, true);
  });
  return new Uint8Array(view.buffer);
}

function unpack(records: Uint8Array): [bigint, number][] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  return Array.from({ length: view.getUint32(0, true) }, (_, i) => [
    view.getBigUint64(8 + i * RECORD_BYTES, true),
    view.getUint32(8 + i * RECORD_BYTES + 12, true),
  ]);
}
