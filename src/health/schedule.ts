import type { Random } from './ports.js';

/** A new target is first checked within this time... */
const firstWithinMs = 50;
/** ...unless so many come at once that this rate of connections would be exceeded. */
const firstPerMs = 4;

/** A check lost by the prober is given up this long after its timeout. */
export const graceMs = 2000;

/** Delay of the first check of each of `newcomers` targets that came together. */
export function firstDelayMs(newcomers: number, random: Random): number {
  return random() * Math.max(firstWithinMs, newcomers / firstPerMs);
}

/**
 * Time from the start of one check to the start of the next: the interval +-10 %, so that targets that started in
 * step drift apart. After the first check it is 10 to 100 %: targets configured together take random phases at once.
 */
export function nextIntervalMs(intervalMs: number, random: Random, options: { afterFirst: boolean }): number {
  const share = options.afterFirst ? 0.1 + 0.9 * random() : 0.9 + 0.2 * random();
  return intervalMs * share;
}
