import type { HealthEngine } from '../health/engine.js';
import type { HealthStore } from '../health/store.js';
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
