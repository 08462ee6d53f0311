/** Where first fragments went: four slots a bucket, the oldest goes. bpf/fragment.h is what this is compared with. */
import { idleTicks } from './session_table.js';

export interface Remembered {
  readonly tag: bigint;
  readonly backend: number;
  readonly service: number;
  seen: number;
}

const SLOTS = 4;
const TICKS = 1 << 24;
/** About 30 s. */
const LIFE_TICKS = 120;

export class FragmentModel {
  readonly buckets: (Remembered | null)[][];

  constructor(bucketCount: number) {
    this.buckets = Array.from({ length: bucketCount }, () => Array.from({ length: SLOTS }, () => null));
  }

  #bucketOf(tag: bigint): (Remembered | null)[] {
    return this.buckets[Number(((tag & 0xffff_ffffn) * BigInt(this.buckets.length)) >> 32n)]!;
  }

  remember(entry: Remembered, now: number): void {
    const bucket = this.#bucketOf(entry.tag);
    const same = bucket.findIndex((held) => held?.tag === entry.tag);
    const free = bucket.indexOf(null);
    const ages = bucket.map((held) => (held ? idleTicks(now, held.seen) : -1));
    const oldest = ages.indexOf(Math.max(...ages));
    bucket[same >= 0 ? same : free >= 0 ? free : oldest] = entry;
  }

  find(tag: bigint, now: number): Remembered | null {
    const held = this.#bucketOf(tag).find((one) => one?.tag === tag);
    return held && idleTicks(now, held.seen) <= LIFE_TICKS ? held : null;
  }

  pass(ticks: number): void {
    for (const held of this.buckets.flat()) if (held) held.seen = (held.seen - ticks + TICKS) % TICKS;
  }
}
