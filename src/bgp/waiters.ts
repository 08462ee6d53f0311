import type { Clock } from '../netlink/port.js';

interface Waiter {
  readonly generation: number;
  readonly toldMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those who were promised that what they told is in force; a later one that is includes the earlier ones. */
export class Waiters {
  readonly #clock: Clock;
  #waiting: Waiter[] = [];
  #lastMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long the last ones waited. */
  get lastMs(): number | null {
    return this.#lastMs;
  }

  add(generation: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ generation, toldMs: this.#clock.nowMs(), resolve, reject });
    });
  }

  settle(generation: number): void {
    for (const { toldMs, resolve } of this.#take(generation)) {
      this.#lastMs = Math.round(this.#clock.nowMs() - toldMs);
      resolve();
    }
  }

  refuse(generation: number, error: Error): void {
    for (const { reject } of this.#take(generation)) reject(error);
  }

  #take(generation: number): Waiter[] {
    const taken = this.#waiting.filter((waiter) => waiter.generation <= generation);
    this.#waiting = this.#waiting.filter((waiter) => waiter.generation > generation);
    return taken;
  }
}
