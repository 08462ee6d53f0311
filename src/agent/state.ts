import type { Ip } from '../base/ip.js';
import type { Compiled, Dirty, Observed } from '../compile/compiled.js';
import type { TableOp } from '../compile/ops.js';
import type { PoolRow, Tables } from '../compile/tables.js';
import type { ControlTables } from '../dataplane/tables.js';
import type { HealthState } from '../health/types.js';
import type { NextHop, WayOut } from '../netlink/types.js';

/** Observed state as it comes in, and which of it the last compile has not seen yet. */
export class ObservedState {
  /** What counts, and what this node's checks say: the same, unless other nodes see it otherwise. */
  readonly #health = new Map<string, HealthState>();
  readonly #ownHealth = new Map<string, HealthState>();
  readonly #nextHops = new Map<Ip, NextHop>();
  #waysOut: ReadonlyMap<string, WayOut> = new Map();
  #waysOutChanged = false;
  #healthKeys = new Set<string>();
  #addresses = new Set<Ip>();
  readonly #recoveredAtMs = new Map<string, number>();

  /** `clock`: milliseconds, of any origin, that never go back. */
  constructor(private readonly clock: () => number = () => performance.now()) {}

  get now(): Observed {
    return {
      health: this.#health,
      ownHealth: this.#ownHealth,
      nextHops: this.#nextHops,
      waysOut: this.#waysOut,
      recoveredAtMs: this.#recoveredAtMs,
      nowMs: this.clock(),
    };
  }

  healthOf(key: string): HealthState {
    return this.#health.get(key) ?? 'unknown';
  }

  ownHealthOf(key: string): HealthState {
    return this.#ownHealth.get(key) ?? 'unknown';
  }

  /**
   * `agreed`: what the nodes of the cluster say together. What counted as unhealthy and counts as healthy has come back;
   * what is healthy from the first has not been away.
   */
  setHealth(key: string, own: HealthState, agreed: HealthState = own): void {
    const before = this.#health.get(key);
    if (before === agreed && this.#ownHealth.get(key) === own) return;
    if (agreed !== 'healthy') this.#recoveredAtMs.delete(key);
    else if (before === 'unhealthy') this.#recoveredAtMs.set(key, this.clock());
    this.#health.set(key, agreed);
    this.#ownHealth.set(key, own);
    this.#healthKeys.add(key);
  }

  setNextHop(address: Ip, hop: NextHop): void {
    this.#nextHops.set(address, hop);
    this.#addresses.add(address);
  }

  setWaysOut(waysOut: ReadonlyMap<string, WayOut>): void {
    this.#waysOut = waysOut;
    this.#waysOutChanged = true;
  }

  /** Of what no configuration names any more: should it come back, it is not what it was. */
  forget({ keys = [], addresses = [] }: { keys?: Iterable<string>; addresses?: Iterable<Ip> }): void {
    for (const key of keys) {
      this.#health.delete(key);
      this.#ownHealth.delete(key);
      this.#recoveredAtMs.delete(key);
    }
    for (const address of addresses) this.#nextHops.delete(address);
  }

  /** Is there anything that no compile has seen? */
  get hasDirty(): boolean {
    return this.#healthKeys.size > 0 || this.#addresses.size > 0 || this.#waysOutChanged;
  }

  /** What changed since the last call. */
  takeDirty(): Dirty {
    const dirty = { healthKeys: this.#healthKeys, addresses: this.#addresses, waysOut: this.#waysOutChanged };
    this.#healthKeys = new Set();
    this.#addresses = new Set();
    this.#waysOutChanged = false;
    return dirty;
  }

  /** A compile did not come to pass: its changes are still to be seen. */
  giveBack(dirty: Dirty): void {
    for (const key of dirty.healthKeys) this.#healthKeys.add(key);
    for (const address of dirty.addresses) this.#addresses.add(address);
    this.#waysOutChanged ||= dirty.waysOut ?? false;
  }
}

/** The tables in force after `ops`: those wanted, each pool where the plan put it. */
export function settle(have: Tables, compiled: Compiled, ops: readonly TableOp[], control: ControlTables): Tables {
  const moved = new Set(ops.flatMap((op) => (op.op === 'swap-table' || op.op === 'end-handover' ? [op.pool] : [])));
  const pools = new Map<number, PoolRow>();
  for (const [id, row] of compiled.tables.pools) {
    const before = have.pools.get(id);
    const placed = moved.has(id) || !before?.placed ? (control.poolRow(id) ?? null) : before.placed;
    pools.set(id, { ...row, placed });
  }
  return { ...compiled.tables, pools };
}
