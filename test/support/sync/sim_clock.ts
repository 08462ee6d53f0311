import type { Clock } from '../../../src/sync/ports.js';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  /** What it begins has to come to rest before time goes on. */
  readonly settles: boolean;
}

/** Time that passes when told to. Timers run in order; between two of them everything that is under way comes to rest. */
export class SimClock implements Clock {
  #nowMs = 1_000_000;
  #order = 0;
  #timers: Timer[] = [];
  readonly #live = new Set<Timer>();
  /** Of the wall clock: as one that was set. */
  wallOffsetMs = 1_790_000_000_000;
  /** What has to come to rest before time goes on. */
  settle: () => Promise<void> = async () => {};

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.wallOffsetMs;
  }

  after(delayMs: number, run: () => void, settles = false): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run, settles };
    this.#push(timer);
    this.#live.add(timer);
    return () => this.#live.delete(timer);
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      if (!this.#live.delete(next)) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      if (next.settles) await this.settle();
    }
    this.#nowMs = endMs;
  }

  /** The process stands still: what is due meanwhile runs afterwards, late. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Lets promises that wait for nothing but each other come to their end. */
export function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
