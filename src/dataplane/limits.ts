import * as abi from '../abi/abi.generated.js';
import type { LimitRow } from '../compile/tables.js';
import type { BpfMap } from './addon.js';

const WORDS = abi.limitSize / 8;
const at = abi.limitOffset;
const wordOf = (offset: number): number => offset / 8;

/** A limit that is counted. */
export interface Counted {
  readonly id: number;
  readonly limits: { readonly sessions: number };
  /** Numbers of its services. */
  readonly services: readonly number[];
}

/** What the data path, and whoever measures, have written of a limit. */
export type LimitState = Pick<abi.Limit, 'busyUntil' | 'made' | 'ended' | 'base' | 'over'>;

/**
 * The limits, in place: the data path counts in the same rows, so nothing but single words is ever stored in a row that
 * is in use.
 */
export class LimitMap {
  readonly #words: BigUint64Array;
  readonly #view: DataView;
  readonly #refusals: BpfMap;
  readonly rows: number;

  constructor(maps: { limits: BpfMap; refusals: BpfMap }) {
    const buffer = maps.limits.mmap();
    this.#words = new BigUint64Array(buffer);
    this.#view = new DataView(buffer);
    this.#refusals = maps.refusals;
    this.rows = maps.limits.info.maxEntries;
  }

  read(): Map<number, LimitRow> {
    const found = new Map<number, LimitRow>();
    for (let id = 0; id < this.rows; id++) {
      if (this.#words[id * WORDS] === 0n) continue;
      const { identity, flags, sessions, interval, sourceInterval, burst } = abi.readLimit(
        this.#view,
        id * abi.limitSize,
      );
      found.set(id, { identity, flags, sessions, interval, sourceInterval, burst });
    }
    return found;
  }

  /** Of another identity: begins at zero; nobody refers to it yet. */
  write(id: number, row: LimitRow): void {
    const held = this.row(id);
    if (held.identity !== row.identity) {
      this.clear(id);
      this.#refusals.update(new Uint8Array(Uint32Array.of(id).buffer), new Uint8Array(this.#refusals.valueBytes));
    } else if (held.sessions === 0 && row.sessions !== 0) {
      // It was not counted: from zero on, until the next count of the sessions.
      this.#store(id, at.base, BigInt.asUintN(64, held.ended - held.made));
    }
    this.#store(id, at.interval, row.interval);
    this.#store(id, at.sourceInterval, row.sourceInterval);
    this.#store(id, at.burst, row.burst);
    this.#store(id, at.flags, BigInt(row.flags) | (BigInt(row.sessions) << 32n));
    this.#store(id, at.identity, row.identity);
  }

  clear(id: number): void {
    for (let word = 0; word < WORDS; word++) Atomics.store(this.#words, id * WORDS + word, 0n);
  }

  row(id: number): abi.Limit {
    return abi.readLimit(this.#view, id * abi.limitSize);
  }

  /** Before sessions are counted; what is returned takes what was counted, while the data path went on. */
  count(limits: Iterable<Counted>): (openByService: Uint32Array) => void {
    const counted = [...limits].filter(({ limits: set }) => set.sessions > 0);
    const rows = counted.map((limit) => ({ ...limit, before: this.row(limit.id) }));
    return (openByService) => {
      for (const { id, services, before } of rows) {
        const after = this.row(id);
        // The number may have gone to another meanwhile.
        if (after.identity !== before.identity) continue;
        const live = services.reduce((sum, service) => sum + openByService[service]!, 0);
        this.setLive(id, live, { before, after });
      }
    };
  }

  /** `live`: sessions counted; `before` and `after`: the row as it was before the count began and after it had ended. */
  setLive(id: number, live: number, { before, after }: { before: LimitState; after: LimitState }): void {
    // Those made meanwhile may be counted twice, those ended meanwhile are: never too few.
    this.#store(id, at.base, BigInt.asUintN(64, BigInt(live) - before.made + after.ended));
  }

  setOver(id: number, kinds: number, tick: number): void {
    this.#store(id, at.over, (BigInt(kinds) << 32n) | BigInt(tick));
  }

  /** In order of Reason, from DROP_ACCESS_DENIED on. */
  refusals(highest: number): (id: number) => readonly bigint[] {
    const count = Math.min(this.rows, highest + 1);
    const words = this.#refusals.sumRange(0, count);
    const each = abi.refusalsSize / 8;
    return (id) => Array.from(words.subarray(id * each, (id + 1) * each));
  }

  #store(id: number, offset: number, value: bigint): void {
    Atomics.store(this.#words, id * WORDS + wordOf(offset), value);
  }
}

/** As live_sessions in bpf/limit.h. */
export function liveSessions({ base, made, ended }: LimitState): number {
  return Number(BigInt.asIntN(64, base + made - ended));
}
