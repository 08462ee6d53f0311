import type { BpfMap } from './addon.js';
import { tickMask } from './clock.js';
import { idleTicks } from './session-table.js';

const SLOTS_PER_BUCKET = 4;
const WORDS_PER_SLOT = 4;
/** FRAGMENT_TICKS in bpf/fragment.h. */
const LIFE_TICKS = 120;

/** Which datagrams' first fragments have come, read in place: bpf/fragment.h writes it. */
export class FirstFragments {
  readonly #words: Uint32Array;
  readonly #buckets: bigint;

  constructor(
    fragments: BpfMap,
    private readonly clock: { now(): number },
  ) {
    this.#words = new Uint32Array(fragments.mmap());
    this.#buckets = BigInt(fragments.info.maxEntries);
  }

  has(tag: bigint): boolean {
    const low = Number(tag & 0xffff_ffffn);
    const high = Number(tag >> 32n);
    const bucket = Number((BigInt(low) * this.#buckets) >> 32n);
    for (let slot = 0; slot < SLOTS_PER_BUCKET; slot++) {
      const at = (bucket * SLOTS_PER_BUCKET + slot) * WORDS_PER_SLOT;
      if (this.#words[at] !== low || this.#words[at + 1] !== high) continue;
      const [names, seen] = [this.#words[at + 2]!, this.#words[at + 3]!];
      /* Both 0: it is being written. */
      if (names !== 0 || seen !== 0) return idleTicks(this.clock.now(), seen & tickMask) <= LIFE_TICKS;
    }
    return false;
  }
}
