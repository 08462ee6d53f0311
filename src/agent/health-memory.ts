import type { HealthEngine } from '../health/engine.js';
import type { HealthStore } from '../health/store.js';
import type { CheckTarget } from '../health/types.js';
import type { ObservedState } from './state.js';

/** Health as the agent before knew it: a healthy backend does not start as unknown. Returns what to tell, or null. */
export async function restoreHealth(options: {
  healthStore: HealthStore;
  health: HealthEngine;
  observed: ObservedState;
  nowMs: number;
}): Promise<string | null> {
  const { healthStore, health, observed, nowMs } = options;
  const { records, problem } = await healthStore.load({ nowMs });
  health.restore(records);
  for (const { key, state } of records) observed.setHealth(key, state);
  return problem;
}

/** Keys of checks that are no more; lists that stayed the same object are not looked into. */
export function goneKeys(
  before: readonly (readonly CheckTarget[])[],
  now: readonly (readonly CheckTarget[])[],
): string[] {
  const [was, is] = [new Set(before), new Set(now)];
  const fresh = new Set(now.filter((list) => !was.has(list)).flatMap((list) => list.map(({ key }) => key)));
  const old = before.filter((list) => !is.has(list)).flatMap((list) => list.map(({ key }) => key));
  return old.filter((key) => !fresh.has(key));
}

const SAVE_AFTER_MS = 200;

/** Keeps health records on disk: soon after a change, once for changes that come together, and at the end. */
export class HealthSaver {
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly store: HealthStore,
    private readonly health: () => HealthEngine,
    private readonly onError: (error: unknown) => void,
  ) {}

  soon(): void {
    this.#timer ??= setTimeout(() => void this.now(), SAVE_AFTER_MS);
  }

  async now(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    await this.store.save(this.health().snapshot()).catch(this.onError);
  }
}
