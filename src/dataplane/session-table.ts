import * as abi from '../abi/abi.generated.js';
import { bytesToIp, type Ip } from '../base/ip.js';
import { bucketsOf } from '../compile/fingerprint.js';
import { type BpfMap, clearSlot, type SweepResult, sweepSessions } from './addon.js';
import { tickMask } from './clock.js';

/** A session as the table holds it. */
export interface SessionEntry {
  readonly slot: number;
  readonly tag: bigint;
  readonly backend: number;
  readonly service: number;
  readonly state: number;
  readonly idleTicks: number;
  /** null: the cold entry belongs to another flow (it is being written). */
  readonly detail: SessionDetailEntry | null;
}

export interface SessionDetailEntry {
  readonly client: Ip;
  readonly clientPort: number;
  readonly protocol: number;
  readonly ageTicks: number;
}

/** Details are read in rows of so many when the table is walked. */
const DETAIL_WINDOW = 4096;
const WORDS_PER_SLOT = abi.sessionSlotSize / 4;

/** The session table, read in place: user space maps the memory that the data path works on. */
export class SessionTable {
  readonly slots: number;
  readonly #buffer: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #details: BpfMap;
  #window: { first: number; view: DataView } = { first: -1, view: new DataView(new ArrayBuffer(0)) };
  readonly #clock: { now(): number };

  constructor(sessions: BpfMap, details: BpfMap, clock: { now(): number }) {
    this.#buffer = sessions.mmap();
    this.#words = new Uint32Array(this.#buffer);
    this.#details = details;
    this.slots = sessions.info.maxEntries * 4;
    this.#clock = clock;
  }

  get buckets(): number {
    return this.slots / 4;
  }

  /** Does the slot hold a finished entry of this service and backend (null: any)? Cheap: two words. */
  entryAt(slot: number, now = this.#clock.now(), inRow = false): SessionEntry | null {
    const at = slot * WORDS_PER_SLOT;
    const low = this.#words[at + 2]!;
    const high = this.#words[at + 3]!;
    if (low === 0 && high === 0) return null;
    const tagHigh = this.#words[at + 1]!;
    const tag = (BigInt(tagHigh) << 32n) | BigInt(this.#words[at]!);
    return {
      slot,
      tag,
      backend: low & 0xffff,
      service: low >>> 16,
      state: (high >>> 24) & 0xf,
      idleTicks: idleTicks(now, high & tickMask),
      detail: this.#detailAt(slot, tagHigh, now, inRow),
    };
  }

  #detailAt(slot: number, tagHigh: number, now: number, inRow: boolean): SessionDetailEntry | null {
    const view = inRow ? this.#detailWindow(slot) : this.#readDetails(slot, 1);
    const at = inRow ? (slot % DETAIL_WINDOW) * abi.sessionDetailSize : 0;
    if (view.getUint32(at + abi.sessionDetailOffset.tagCheck, true) !== tagHigh) return null;
    const detail = abi.readSessionDetail(view, at);
    return {
      client: bytesToIp(detail.client),
      clientPort: detail.clientPort,
      protocol: detail.protocol,
      ageTicks: idleTicks(now, detail.createdTick),
    };
  }

  /* Read when asked for, not mapped: the table of details is twice the sessions' and would weigh on the agent. */
  #readDetails(first: number, count: number): DataView {
    const bytes = this.#details.readRange(first, count);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #detailWindow(slot: number): DataView {
    const first = slot - (slot % DETAIL_WINDOW);
    if (this.#window.first !== first) {
      this.#window = { first, view: this.#readDetails(first, Math.min(DETAIL_WINDOW, this.slots - first)) };
    }
    return this.#window.view;
  }

  /**
   * Entries from `cursor` on that `wanted` takes (service, backend, state: before anything is decoded), at most `limit`
   * of them and at most `maxSlots` slots looked at. `next` null: the end.
   */
  scan(
    cursor: number,
    wanted: (service: number, backend: number, state: number) => boolean,
    options: { limit: number; maxSlots: number; keep?: (entry: SessionEntry) => boolean },
  ): { entries: SessionEntry[]; next: number | null } {
    const now = this.#clock.now();
    this.#window = { ...this.#window, first: -1 };
    const entries: SessionEntry[] = [];
    const end = Math.min(this.slots, cursor + options.maxSlots);
    let slot = cursor;
    for (; slot < end && entries.length < options.limit; slot++) {
      const at = slot * WORDS_PER_SLOT;
      const low = this.#words[at + 2]!;
      const high = this.#words[at + 3]!;
      if ((low === 0 && high === 0) || !wanted(low >>> 16, low & 0xffff, (high >>> 24) & 0xf)) continue;
      const entry = this.entryAt(slot, now, true);
      if (entry && (options.keep?.(entry) ?? true)) entries.push(entry);
    }
    return { entries, next: slot >= this.slots ? null : slot };
  }

  find(tag: bigint): SessionEntry | null {
    const [first, second] = bucketsOf(tag, this.buckets);
    for (const bucket of [first, second]) {
      for (let i = 0; i < 4; i++) {
        const entry = this.entryAt(bucket * 4 + i);
        if (entry?.tag === tag) return entry;
      }
    }
    return null;
  }

  clear(entry: { slot: number; tag: bigint }): boolean {
    return clearSlot(this.#buffer, entry.slot, entry.tag);
  }

  /** Frees a slot that was claimed and never filled. */
  clearUnfinished(slot: number): boolean {
    const at = slot * WORDS_PER_SLOT;
    if (this.#words[at + 2] !== 0 || this.#words[at + 3] !== 0) return false;
    return clearSlot(this.#buffer, slot, (BigInt(this.#words[at + 1]!) << 32n) | BigInt(this.#words[at]!));
  }

  /** Counts, expires and purges on a thread of the pool. timeouts: [service * 4 + state] in ticks, 0 = service gone. */
  sweep(options: {
    timeouts: Uint16Array;
    purgeBackends?: Uint8Array | null;
    purgeServices?: Uint8Array | null;
  }): Promise<SweepResult> {
    return sweepSessions({
      sessions: this.#buffer,
      nowTick: this.#clock.now(),
      timeouts: options.timeouts,
      expire: true,
      purgeBackends: options.purgeBackends ?? null,
      purgeServices: options.purgeServices ?? null,
    });
  }
}

/** As session_idle in bpf/session.h: what was seen "in the future" was seen now. */
export function idleTicks(now: number, seen: number): number {
  const idle = (now - seen) & tickMask;
  return idle >= tickMask - 0xffff ? 0 : idle;
}
