import { maglevSlots } from './maglev.js';
import type { PoolMember } from './tables.js';

/**
 * How often each member has its turn before all begins again: in exact proportion to weights where that takes no more
 * than 65537 turns, else in the nearest proportion in which everybody has one at all.
 */
export function turnCounts(weights: readonly number[]): number[] {
  if (weights.length === 0) return [];
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total / divisor <= maglevSlots) return weights.map((weight) => weight / divisor);
  return apportioned(weights, total);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Largest remainders, of quotas that are at least 1. */
function apportioned(weights: readonly number[], total: number): number[] {
  const quotas = weights.map((weight) => (maglevSlots * weight) / total);
  const counts = quotas.map((quota) => Math.max(1, Math.floor(quota)));
  const remainder = (i: number): number => quotas[i]! - counts[i]!;
  const order = weights.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a) || a - b);
  let left = maglevSlots - counts.reduce((sum, count) => sum + count, 0);
  for (let at = 0; left > 0; at = (at + 1) % order.length, left--) counts[order[at]!]!++;
  while (left < 0) left += giveUp(counts, order, -left);
  return counts;
}

/** From those that have most beyond their quota, one turn each; returns how many. */
function giveUp(counts: number[], order: readonly number[], wanted: number): number {
  let given = 0;
  for (let at = order.length - 1; at >= 0 && given < wanted; at--) {
    if (counts[order[at]!]! <= 1) continue;
    counts[order[at]!]!--;
    given++;
  }
  if (given === 0) throw new Error(`${order.length} members are more than a table has slots`);
  return given;
}

/**
 * Backend numbers in the order of their turns, as evenly as can be: after any number of turns nobody is a whole turn
 * ahead of its share, or behind it. (The j-th turn of a member is due between j and j + 1 times the length of the
 * sequence over its count; earliest deadline first meets all of these windows: Baruah et al., "Proportionate progress",
 * Algorithmica 1996.) The result depends on the set of (seed, weight), not on its order; empty without members.
 */
export function turnsOf(members: readonly PoolMember[]): Uint16Array {
  const active = members.filter(({ weight }) => weight > 0).sort((a, b) => (a.seed < b.seed ? -1 : 1));
  const counts = turnCounts(active.map(({ weight }) => weight));
  const length = counts.reduce((sum, count) => sum + count, 0);
  const turns = new Uint16Array(length);
  const waiting = new Waiting(length, active.length);
  const due = new Due(active.length);
  const taken = new Uint32Array(active.length);
  const enter = (i: number, now: number): void => {
    const count = counts[i]!;
    const release = Math.floor((taken[i]! * length) / count);
    if (release > now) waiting.add(i, release);
    else due.push(i, Math.ceil(((taken[i]! + 1) * length) / count));
  };
  counts.forEach((_, i) => {
    enter(i, 0);
  });
  for (let now = 0; now < length; now++) {
    for (let i = waiting.take(now); i >= 0; i = waiting.take(now)) enter(i, now);
    const i = due.pop();
    turns[now] = active[i]!.backend;
    taken[i]!++;
    if (taken[i]! < counts[i]!) enter(i, now + 1);
  }
  return turns;
}

/** Members by the time from which on they may have their next turn. */
class Waiting {
  readonly #first: Int32Array;
  readonly #next: Int32Array;

  constructor(times: number, members: number) {
    this.#first = new Int32Array(times + 1).fill(-1);
    this.#next = new Int32Array(members);
  }

  add(member: number, time: number): void {
    this.#next[member] = this.#first[time]!;
    this.#first[time] = member;
  }

  /** One whose time this is, or -1. */
  take(time: number): number {
    const member = this.#first[time]!;
    if (member >= 0) this.#first[time] = this.#next[member]!;
    return member;
  }
}

/** A heap of members by deadline; of equals, the lower number first. */
class Due {
  readonly #keys: Float64Array;
  readonly #members: number;
  #size = 0;

  constructor(members: number) {
    this.#keys = new Float64Array(members);
    this.#members = members;
  }

  push(member: number, deadline: number): void {
    const keys = this.#keys;
    const key = deadline * this.#members + member;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number {
    const keys = this.#keys;
    const top = keys[0]!;
    const last = keys[--this.#size]!;
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = last;
    return top % this.#members;
  }
}
