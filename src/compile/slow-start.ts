import type { Observed } from './compiled.js';

/** Parts of a weight that slow start and the data path count in: WEIGHT_SCALE in bpf/abi_types.h. */
export const weightScale = 20;
/** A tenth, to begin with. */
const firstPart = 2;

export interface Ramp {
  /** Of `weightScale`. */
  readonly parts: number;
  /** When it takes the next step, on the clock of Observed.nowMs; null: it has arrived. */
  readonly nextChangeMs: number | null;
}

const arrived: Ramp = { parts: weightScale, nextChangeMs: null };

/** How much of its weight a backend has that became healthy again: from a tenth to all of it, in steps of a twentieth. */
export function rampOf(checkKey: string, slowStartMs: number, { recoveredAtMs, nowMs = 0 }: Observed): Ramp {
  const since = slowStartMs > 0 ? recoveredAtMs?.get(checkKey) : undefined;
  if (since === undefined || nowMs - since >= slowStartMs - 1e-3) return arrived;
  const stepMs = slowStartMs / (weightScale - firstPart);
  // A little more, so that a step is taken by the time that it was said to be due.
  const steps = Math.max(0, Math.floor((nowMs - since) / stepMs + 1e-6));
  return { parts: firstPart + steps, nextChangeMs: since + (steps + 1) * stepMs };
}
