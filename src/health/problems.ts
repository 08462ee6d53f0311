import { remedyOf } from './errno.js';
import type { Clock } from './ports.js';

/** Longer than the longest interval allowed, so that a lasting shortage is always on the list. */
const memoryMs = 60_000;

/** Checks that this host could not make, by error, as long as they are recent. */
export class LocalErrors {
  readonly #clock: Clock;
  readonly #byCode = new Map<string, { count: number; lastMs: number }>();
  total = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  count(code: string): void {
    this.total++;
    const now = this.#clock.monotonicMs();
    const seen = this.#byCode.get(code);
    if (seen === undefined || now - seen.lastMs > memoryMs) {
      this.#byCode.set(code, { count: 1, lastMs: now });
    } else {
      seen.count++;
      seen.lastMs = now;
    }
  }

  list(): readonly string[] {
    const now = this.#clock.monotonicMs();
    return [...this.#byCode]
      .filter(([, seen]) => now - seen.lastMs <= memoryMs)
      .map(
        ([code, seen]) => `${seen.count} health checks could not be made: ${code} (${remedyOf(code)}); states are kept`,
      );
  }
}
