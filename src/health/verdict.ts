import type { HealthState } from './types.js';

/** What one check says. `local`: this host could not make the check, which says nothing of the backend. */
export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'local'; readonly error: string };

export const passed: Verdict = { kind: 'passed' };

export function failed(reason: string): Verdict {
  return { kind: 'failed', reason };
}

export interface Standing {
  readonly state: HealthState;
  /** Results in a row that contradict `state`. */
  readonly streak: number;
}

/**
 * The first result of an unknown target decides at once, so that a new backend waits for one check and not for
 * `rise`; from then on `fall` failures or `rise` passes in a row are needed to change it.
 */
export function weigh(
  before: Standing,
  pass: boolean,
  thresholds: { readonly rise: number; readonly fall: number },
): Standing {
  const says = pass ? 'healthy' : 'unhealthy';
  if (before.state === 'unknown') return { state: says, streak: 0 };
  if (before.state === says) return before.streak === 0 ? before : { state: says, streak: 0 };
  const streak = before.streak + 1;
  const needed = pass ? thresholds.rise : thresholds.fall;
  return streak >= needed ? { state: says, streak: 0 } : { state: before.state, streak };
}
