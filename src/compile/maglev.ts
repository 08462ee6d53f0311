import { createHash } from 'node:crypto';

/** Entries of a table: a prime, so that every skip visits each slot (Eisenbud et al., "Maglev", NSDI 2016, 3.4). */
export const maglevSlots = 65537;

/** A member's first slot and step: its permutation of the table. */
interface Walk {
  readonly backend: number;
  readonly weight: number;
  next: number;
  readonly skip: number;
  credit: number;
}

const walkCache = new Map<string, { offset: number; skip: number }>();
const WALK_CACHE_LIMIT = 200_000;

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
  const active = members.filter(({ weight }) => weight > 0).sort((a, b) => (a.seed < b.seed ? -1 : 1));
  if (active.length === 0) return out;
  const walks: Walk[] = active.map(({ backend, seed, weight }) => {
    const { offset, skip } = walkOf(seed);
    return { backend, weight, next: offset, skip, credit: 0 };
  });
  const turn = Math.max(...walks.map(({ weight }) => weight));
  for (let filled = 0; ; ) {
    for (const walk of walks) {
      walk.credit += walk.weight;
      if (walk.credit < turn) continue;
      walk.credit -= turn;
      let slot = walk.next;
      while (out[slot] !== 0) {
        slot += walk.skip;
        if (slot >= maglevSlots) slot -= maglevSlots;
      }
      out[slot] = walk.backend;
      walk.next = slot;
      if (++filled === maglevSlots) return out;
    }
  }
}
