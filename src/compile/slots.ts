import { fillMaglev, maglevSlots } from './maglev.js';
import type { PoolMember, PoolRow } from './tables.js';
import { turnCounts, turnsOf } from './turns.js';

/**
 * What the slots of a pool's table are: `maglev`, looked up by a hash; `turns`, each new flow takes the next; `members`,
 * each backend once, for comparing their loads.
 */
export type SlotOrder = 'maglev' | 'turns' | 'members';

/** How many slots there are before all of them come again. */
export function slotCount({ order, members }: Pick<PoolRow, 'order' | 'members'>): number {
  if (order === 'maglev') return maglevSlots;
  const weights = members.map(({ weight }) => weight).filter((weight) => weight > 0);
  if (order === 'members') return Math.max(1, weights.length);
  return Math.max(
    1,
    turnCounts(weights).reduce((sum, count) => sum + count, 0),
  );
}

/** A whole table; fewer slots are repeated to its end. */
export function fillSlots({ order, members }: Pick<PoolRow, 'order' | 'members'>): Uint16Array {
  switch (order) {
    case 'maglev':
      return fillMaglev(members);
    case 'turns':
      return repeated(turnsOf(members));
    case 'members':
      return repeated(eachOnce(members));
  }
}

function eachOnce(members: readonly PoolMember[]): Uint16Array {
  const active = members.filter(({ weight }) => weight > 0).sort((a, b) => (a.seed < b.seed ? -1 : 1));
  return Uint16Array.from(active, ({ backend }) => backend);
}

function repeated(slots: Uint16Array): Uint16Array {
  const table = new Uint16Array(maglevSlots);
  if (slots.length === 0) return table;
  table.set(slots.subarray(0, maglevSlots));
  for (let filled = slots.length; filled < maglevSlots; filled *= 2) {
    table.copyWithin(filled, 0, Math.min(filled, maglevSlots - filled));
  }
  return table;
}
