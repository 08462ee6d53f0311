import { bucketsOf } from '../../../../src/compile/fingerprint.js';
import { SyncTable, sweepSessions } from '../../../../src/dataplane/addon.js';

const LOG_ENTRIES = 16_384;
const LOG_HEADER_BYTES = 128;
const SLOTS = 4;

export const YOUNG = 1;
export const ESTABLISHED = 2;
export const CLOSING = 3;

export interface Entry {
  readonly slot: number;
  readonly backend: number;
  readonly state: number;
}

/** What a node's kernel holds, in memory of our own: it outlives the agent, and is empty after a restart of the machine. */
export class DataPath {
  readonly sessions: ArrayBuffer;
  readonly details: ArrayBuffer;
  readonly log = new ArrayBuffer(LOG_HEADER_BYTES + LOG_ENTRIES * 8);
  readonly #words: BigUint64Array;
  readonly #details: DataView;
  readonly #log = new BigUint64Array(this.log);
  #logged = 0;

  constructor(readonly buckets: number) {
    this.sessions = new ArrayBuffer(buckets * 64);
    this.details = new ArrayBuffer(buckets * SLOTS * 32);
    this.#words = new BigUint64Array(this.sessions);
    this.#details = new DataView(this.details);
  }

  syncTable(): SyncTable {
    return new SyncTable({ sessions: this.sessions, details: this.details });
  }

  find(tag: bigint): Entry | null {
    for (const bucket of bucketsOf(tag, this.buckets)) {
      for (let slot = bucket * SLOTS; slot < (bucket + 1) * SLOTS; slot++) {
        if (this.#words[slot * 2] !== tag) continue;
        const value = this.#words[slot * 2 + 1]!;
        if (value !== 0n) return { slot, backend: Number(value & 0xffffn), state: Number((value >> 56n) & 0xfn) };
      }
    }
    return null;
  }

  /** Sessions of any state. */
  count(): number {
    let count = 0;
    for (let at = 0; at < this.#words.length; at += 2) if (this.#words[at] !== 0n) count++;
    return count;
  }

  /** The first packet: a young session, logged. False: no room. */
  insert(tag: bigint, { backend, tick, client }: { backend: number; tick: number; client: number }): boolean {
    for (const bucket of bucketsOf(tag, this.buckets)) {
      for (let slot = bucket * SLOTS; slot < (bucket + 1) * SLOTS; slot++) {
        if (this.#words[slot * 2] !== 0n) continue;
        this.#words[slot * 2] = tag;
        this.#writeDetail(slot, { tag, client });
        this.write(slot, { backend, state: YOUNG, tick });
        this.note(slot);
        return true;
      }
    }
    return false;
  }

  #writeDetail(slot: number, { tag, client }: { tag: bigint; client: number }): void {
    const at = slot * 32;
    for (let i = 0; i < 4; i++) this.#details.setUint32(at + i * 4, 0);
    this.#details.setUint16(at + 10, 0xffff);
    this.#details.setUint32(at + 12, client);
    this.#details.setUint16(at + 16, 40_000);
    this.#details.setUint16(at + 18, 1, true);
    this.#details.setUint32(at + 24, Number(tag >> 32n), true);
  }

  write(slot: number, { backend, state, tick }: { backend: number; state: number; tick: number }): void {
    this.#words[slot * 2 + 1] =
      BigInt(backend) | (1n << 16n) | (BigInt(tick & 0xff_ffff) << 32n) | (BigInt(state) << 56n);
  }

  /** For the agent: this slot changed. */
  note(slot: number): void {
    const number = this.#logged++;
    this.#log[16 + (number % LOG_ENTRIES)] = (BigInt(slot) << 32n) | BigInt((number + 1) >>> 0);
    this.#log[0] = BigInt(this.#logged);
  }

  async sweep(timeouts: Uint16Array, tick: number): Promise<void> {
    const all = new Uint16Array(65_536 * 4);
    all.set(timeouts);
    await sweepSessions({
      ...{ sessions: this.sessions, nowTick: tick & 0xff_ffff, timeouts: all, expire: true },
      ...{ purgeBackends: null, purgeServices: null },
    });
  }
}
