/** Reproducible chance: the same seed gives the same run. SPILLWAY_SEED sets it; a test logs the one it took. */
export class Random {
  #state: number;

  constructor(readonly seed: number = seedFromEnvironment()) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2^32 - 1 (mulberry32). */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * limit);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 0x1_0000_0000;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }
}

function seedFromEnvironment(): number {
  const text = process.env['SPILLWAY_SEED'];
  return text === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(text);
}
