import type { Clock } from './ports.js';

/** What a wheel holds. Only the wheel writes `dueTick`; -1 = not in the wheel. */
export interface Scheduled {
  dueTick: number;
}

export const tickMs = 10;
const slotCount = 1024;

/**
 * Hashed timer wheel (Varghese and Lauck 1987, scheme 6) with one timer for all its items, armed for the next slot
 * that is not empty: thousands of periodic checks cost at most 100 wake-ups a second, an idle engine none. Items due
 * in the same 10 ms come in one batch. Nothing is early; lateness is at most one tick plus the event loop's.
 */
export class TimerWheel<T extends Scheduled> {
  readonly #slots: Set<T>[] = Array.from({ length: slotCount }, () => new Set<T>());
  readonly #clock: Clock;
  readonly #onDue: (items: readonly T[]) => void;
  #size = 0;
  /** Every slot up to this tick has been looked at. */
  #doneTick: number;
  #armedTick = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | null = null;

  constructor(clock: Clock, onDue: (items: readonly T[]) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
    this.#doneTick = this.#nowTick();
  }

  get size(): number {
    return this.#size;
  }

  /** Moves the item when it is in the wheel already. */
  schedule(item: T, delayMs: number): void {
    this.cancel(item);
    const tick = Math.ceil((this.#clock.monotonicMs() + delayMs) / tickMs);
    item.dueTick = Math.max(tick, this.#doneTick + 1);
    this.#slot(item.dueTick).add(item);
    this.#size++;
    if (item.dueTick < this.#armedTick) this.#arm(item.dueTick);
  }

  cancel(item: T): void {
    if (item.dueTick < 0) return;
    this.#slot(item.dueTick).delete(item);
    item.dueTick = -1;
    this.#size--;
  }

  close(): void {
    this.#disarm?.();
    this.#disarm = null;
    for (const slot of this.#slots) {
      for (const item of slot) item.dueTick = -1;
      slot.clear();
    }
    this.#size = 0;
  }

  #turn(): void {
    this.#disarm = null;
    this.#armedTick = Number.POSITIVE_INFINITY;
    const due: T[] = [];
    const now = this.#nowTick();
    // After a long stall one round sees every slot: what is overdue runs once, not once for each missed interval.
    for (let tick = Math.max(this.#doneTick + 1, now - slotCount + 1); tick <= now; tick++) {
      const slot = this.#slot(tick);
      for (const item of slot) {
        if (item.dueTick > now) continue;
        slot.delete(item);
        item.dueTick = -1;
        due.push(item);
      }
    }
    this.#doneTick = Math.max(this.#doneTick, now);
    this.#size -= due.length;
    if (due.length > 0) this.#onDue(due);
    this.#armNext();
  }

  #armNext(): void {
    if (this.#size === 0) return;
    for (let ahead = 1; ahead <= slotCount; ahead++) {
      const tick = this.#doneTick + ahead;
      if (tick >= this.#armedTick) return;
      if (this.#slot(tick).size > 0) {
        this.#arm(tick);
        return;
      }
    }
  }

  #arm(tick: number): void {
    this.#disarm?.();
    this.#armedTick = tick;
    this.#disarm = this.#clock.after(Math.max(0, tick * tickMs - this.#clock.monotonicMs()), () => this.#turn());
  }

  #nowTick(): number {
    return Math.floor(this.#clock.monotonicMs() / tickMs);
  }

  #slot(tick: number): Set<T> {
    return this.#slots[tick % slotCount]!;
  }
}
