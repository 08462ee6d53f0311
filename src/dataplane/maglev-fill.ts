import { maglevWalks } from '../compile/maglev.js';
import type { TableOp } from '../compile/ops.js';
import { fillSlots } from '../compile/slots.js';
import type { PoolMember, PoolRow } from '../compile/tables.js';
import { fillMaglevTable } from './addon.js';

/** Tables under way at once: enough for the pool's threads, little memory. */
const AHEAD = 8;
/** Of struct maglev_table. */
const TABLE_BYTES = 131_080;

/** The Maglev table of these members, filled on another thread. */
export function fillTable(members: readonly PoolMember[]): Promise<Uint8Array> {
  const words = maglevWalks(members).flatMap(({ offset, skip, weight, backend }) => [offset, skip, weight, backend]);
  return fillMaglevTable(new Uint8Array(Uint32Array.from(words).buffer));
}

/** Another than a Maglev table: 65537 slots for 1,000 backends take 8 ms. */
function fillHere(row: Pick<PoolRow, 'order' | 'members'>): Uint8Array {
  const table = new Uint8Array(TABLE_BYTES);
  table.set(new Uint8Array(fillSlots(row).buffer));
  return table;
}

/** Fills the Maglev tables of a plan some steps ahead of their turn, so that all cores work while the kernel is written. */
export class FillAhead {
  readonly #waiting: { readonly step: number; readonly members: readonly PoolMember[] }[];
  readonly #started = new Map<number, Promise<Uint8Array>>();

  constructor(ops: readonly TableOp[]) {
    this.#waiting = ops
      .flatMap((op, step) => (op.op === 'fill-table' && op.order === 'maglev' ? [{ step, members: op.members }] : []))
      .reverse();
  }

  /** The table of this step. Steps are taken in order. */
  async take(step: number, row: Pick<PoolRow, 'order' | 'members'>): Promise<Uint8Array> {
    if (row.order !== 'maglev') return fillHere(row);
    while (this.#started.size < AHEAD) {
      const next = this.#waiting.pop();
      if (!next) break;
      const table = fillTable(next.members);
      table.catch(() => {}); // told by take(); never taken when a step before it fails
      this.#started.set(next.step, table);
    }
    const table = this.#started.get(step);
    if (!table) throw new Error(`step ${step} fills no table`);
    this.#started.delete(step);
    return table;
  }
}
