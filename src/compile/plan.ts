import { type Backend, BackendFlags, type Egress, type Service } from '../abi/abi.generated.js';
import { CapacityError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import { AccessEntries } from './access-entries.js';
import type { TableOp } from './ops.js';
import { rowsSince } from './pooled.js';
import { slotCount } from './slots.js';
import type { LimitRow, PoolRow, Tables, VipRow } from './tables.js';

export interface TableOptions {
  readonly tableCount: number;
  /** The data path's time, 32 bits, for telling which handovers are still under way; null: none is. */
  readonly tick?: number | null;
  /** Tables that were in use once, the one freed first at the front: it is filled anew before those freed after it. */
  readonly freed?: readonly number[];
}

/**
 * The ordered steps from `have` to `want`. Pure; after each prefix no packet is misdirected: what is referred to is
 * written before what refers to it, tables are filled aside and swapped in one store, and only then does anything go.
 */
export function plan(have: Tables, want: Tables, options: TableOptions): readonly TableOp[] {
  const services = changedServices(have, want);
  const vips = changedVips(have, want);
  const quic = changedQuic(have, want);
  return [
    ...writtenEgresses(have, want),
    ...risingBackends(have, want),
    ...quic.write,
    ...swapTables(have, want, options),
    ...addedAccess(have, want),
    ...changedLimits(have, want),
    ...services.write,
    ...(vips.add.length > 0 ? [filterOp(have, want)] : []),
    ...vips.add,
    ...vips.remove,
    ...(vips.remove.length > 0 ? [filterOp(want)] : []),
    ...services.clear,
    ...removedAccess(have, want),
    ...clearedLimits(have, want),
    ...quic.clear,
    ...clearedPools(have, want),
    ...fallingBackends(have, want),
    ...clearedEgresses(have, want),
  ];
}

function writtenEgresses(have: Tables, want: Tables): TableOp[] {
  return [...want.egresses].flatMap(([id, row]) => {
    const before = have.egresses.get(id);
    return before && sameEgress(before, row) ? [] : [{ op: 'write-egress', id, row }];
  });
}

/** After the last backend that named it has gone or goes elsewhere. */
function clearedEgresses(have: Tables, want: Tables): TableOp[] {
  return [...have.egresses.keys()].filter((id) => !want.egresses.has(id)).map((id) => ({ op: 'clear-egress', id }));
}

function isUp(row: Backend | undefined): boolean {
  return row !== undefined && (row.flags & BackendFlags.BACKEND_UP) !== 0;
}

/** New backends, and every change but "down": a backend is up before a table names it. */
function risingBackends(have: Tables, want: Tables): TableOp[] {
  const ops: TableOp[] = [];
  for (const [id, row] of rowsSince(want.backends, have.backends)) {
    const before = have.backends.get(id);
    if (before === row || (before && sameBackend(before, row))) continue;
    if (isUp(before) && !isUp(row)) continue;
    ops.push({ op: 'write-backend', id, row });
  }
  return ops;
}

/** A backend is down, or gone, only after no table names it. */
function fallingBackends(have: Tables, want: Tables): TableOp[] {
  const ops: TableOp[] = [];
  for (const [id, before] of rowsSince(have.backends, want.backends)) {
    const row = want.backends.get(id);
    if (row === before) continue;
    if (row) {
      if (isUp(before) && !isUp(row)) ops.push({ op: 'write-backend', id, row });
    } else if (!(before.flags & BackendFlags.BACKEND_RETIRED)) {
      ops.push({ op: 'retire-backend', id, row: retired(before) });
    }
  }
  return ops;
}

export function retired(row: Backend): Backend {
  return { ...row, flags: BackendFlags.BACKEND_IN_USE | BackendFlags.BACKEND_RETIRED };
}

function swapTables(have: Tables, want: Tables, options: TableOptions): TableOp[] {
  const changed = [...want.pools].filter(([id, row]) => {
    const before = have.pools.get(id);
    return !before || before.recipe !== row.recipe || before.identity !== row.identity;
  });
  if (changed.length === 0) return [];
  const tables = new FreeTables(have, options);
  return changed.flatMap(([pool, row], i) => [
    ...tables.reserve(changed.length - i),
    ...swapTable(pool, row, have.pools.get(pool), tables),
  ]);
}

function swapTable(pool: number, row: PoolRow, before: PoolRow | undefined, tables: FreeTables): TableOp[] {
  const ops: TableOp[] = [];
  const table = tables.take();
  ops.push({ op: 'fill-table', table, order: row.order, members: row.members });
  const slots = slotCount(row);
  const placed = before?.identity === row.identity ? before.placed : null;
  const handedOver = tables.handedOver(pool);
  const previousTable = placed && (handedOver ?? placed.table);
  const previousSlots = placed ? (handedOver === null ? placed.slots : placed.previousSlots) : slots;
  const { recipe, identity } = row;
  ops.push({ op: 'swap-table', pool, table, slots, previousTable, previousSlots, recipe, identity });
  tables.swapped(pool, { table, previousTable });
  return ops;
}

interface Handover {
  readonly pool: number;
  readonly table: number;
  readonly previous: number;
  readonly until: number;
}

/** Tables that nobody reads; when they run out, the oldest handovers of other pools end early. */
class FreeTables {
  /** The next to be taken at the end. */
  readonly #free: number[] = [];
  /** Pools in handover, the one that ends first at the front. */
  readonly #handovers: Handover[];
  readonly #tableCount: number;
  readonly #tick: number | null;

  constructor(have: Tables, { tableCount, tick = null, freed = [] }: TableOptions) {
    this.#tableCount = tableCount;
    this.#tick = tick;
    const used = new Set<number>();
    const handovers: Handover[] = [];
    for (const [pool, { placed }] of have.pools) {
      if (!placed) continue;
      used.add(placed.table);
      if (placed.previousTable === placed.table) continue;
      used.add(placed.previousTable);
      handovers.push({ pool, table: placed.table, previous: placed.previousTable, until: placed.handoverUntil });
    }
    const wereUsed = new Set(freed);
    for (let table = 0; table < tableCount; table++) {
      if (!used.has(table) && !wereUsed.has(table)) this.#free.push(table);
    }
    this.#free.push(...freed.filter((table) => table < tableCount && !used.has(table)));
    this.#free.reverse();
    this.#handovers = handovers.sort((a, b) => a.until - b.until);
  }

  /**
   * Before so many swaps are still to come: where no table is free, ends the handovers that would end for them one by
   * one. A table that was just freed has to rest before it is filled, and so they rest together.
   */
  reserve(swaps: number): TableOp[] {
    if (this.#free.length > 0) return [];
    const ended = this.#handovers.splice(0, swaps);
    this.#free.push(...ended.map(({ previous }) => previous).reverse());
    return ended.map(({ pool, table }) => ({ op: 'end-handover', pool, table }));
  }

  take(): number {
    const table = this.#free.pop();
    if (table === undefined) throw new CapacityError('limits.backendGroups', this.#tableCount, this.#tableCount + 1);
    return table;
  }

  /**
   * The table from which the pool's handover under way hands over; null: none is. A swap in the middle of a handover
   * keeps that table: whatever is not recorded was chosen by it, or as it would have chosen, so it answers for the
   * handshakes of every table since.
   */
  handedOver(pool: number): number | null {
    const handover = this.#handovers.find((one) => one.pool === pool);
    return handover && this.#isUnderWay(handover) ? handover.previous : null;
  }

  #isUnderWay({ until }: Handover): boolean {
    // Ticks come round: the sign of their 32-bit difference tells.
    return this.#tick !== null && ((until - this.#tick) | 0) >= 0;
  }

  /** What the pool named before and names no more is free at once. */
  swapped(pool: number, now: { table: number; previousTable: number | null }): void {
    const at = this.#handovers.findIndex((handover) => handover.pool === pool);
    if (at >= 0) {
      const [before] = this.#handovers.splice(at, 1);
      const kept = now.previousTable === before!.previous;
      this.#free.unshift(kept ? before!.table : before!.previous);
    }
    // The last to be ended early, but better that than to refuse: all pools may change at once.
    const { table, previousTable: previous } = now;
    if (previous !== null) this.#handovers.push({ pool, table, previous, until: Number.POSITIVE_INFINITY });
  }
}

function clearedPools(have: Tables, want: Tables): TableOp[] {
  return [...have.pools.keys()].filter((pool) => !want.pools.has(pool)).map((pool) => ({ op: 'clear-pool', pool }));
}

/** Entries written in one go: about a millisecond. */
const ACCESS_PIECE = 1024;

/** What is new in a list comes before anything of it goes: a client is never in neither. */
function addedAccess(have: Tables, want: Tables): TableOp[] {
  return [...want.access].flatMap(([list, entries]) => {
    const added = entries.minus(have.access.get(list) ?? AccessEntries.empty);
    return added.pieces(ACCESS_PIECE).map((piece): TableOp => ({ op: 'add-access', list, entries: piece }));
  });
}

function removedAccess(have: Tables, want: Tables): TableOp[] {
  return [...have.access].flatMap(([list, entries]) => {
    const removed = entries.minus(want.access.get(list) ?? AccessEntries.empty);
    return removed.pieces(ACCESS_PIECE).map((piece): TableOp => ({ op: 'remove-access', list, entries: piece }));
  });
}

function changedLimits(have: Tables, want: Tables): TableOp[] {
  return [...want.limits].flatMap(([id, row]): TableOp[] => {
    const before = have.limits.get(id);
    return before && sameLimit(before, row) ? [] : [{ op: 'write-limit', id, row }];
  });
}

function clearedLimits(have: Tables, want: Tables): TableOp[] {
  return [...have.limits.keys()].filter((id) => !want.limits.has(id)).map((id) => ({ op: 'clear-limit', id }));
}

function sameLimit(a: LimitRow, b: LimitRow): boolean {
  return (
    a === b ||
    (a.identity === b.identity &&
      a.flags === b.flags &&
      a.sessions === b.sessions &&
      a.interval === b.interval &&
      a.sourceInterval === b.sourceInterval &&
      a.burst === b.burst)
  );
}

function changedServices(have: Tables, want: Tables): { write: TableOp[]; clear: TableOp[] } {
  const write: TableOp[] = [];
  for (const [id, row] of want.services) {
    const before = have.services.get(id);
    if (!before || !sameService(before, row)) write.push({ op: 'write-service', id, row });
  }
  const gone = [...have.services.keys()].filter((id) => !want.services.has(id));
  return { write, clear: gone.map((id) => ({ op: 'clear-service', id })) };
}

/** Server ids name backends that are there, and services configurations that are; what goes is named by nothing. */
function changedQuic(have: Tables, want: Tables): { write: TableOp[]; clear: TableOp[] } {
  const write: TableOp[] = [];
  const clear: TableOp[] = [];
  for (const [key, row] of want.quicServers) {
    if (have.quicServers.get(key)?.backend !== row.backend) write.push({ op: 'add-quic-server', row });
  }
  for (const [id, row] of want.quicRoutings) {
    if (have.quicRoutings.get(id)?.recipe !== row.recipe) write.push({ op: 'write-quic-routing', id, row });
  }
  for (const id of have.quicRoutings.keys()) {
    if (!want.quicRoutings.has(id)) clear.push({ op: 'clear-quic-routing', id });
  }
  for (const [key, row] of have.quicServers) {
    if (!want.quicServers.has(key)) clear.push({ op: 'remove-quic-server', row });
  }
  return { write, clear };
}

function changedVips(have: Tables, want: Tables): { add: TableOp[]; remove: TableOp[] } {
  const add: VipRow[] = [];
  for (const [key, row] of want.vips) if (have.vips.get(key)?.service !== row.service) add.push(row);
  const remove = [...have.vips].filter(([key]) => !want.vips.has(key)).map(([, row]) => row);
  /* An address is marked before it has listeners, and unmarked after it has lost them: never half a VIP. */
  add.sort((a, b) => Number(a.protocol !== 0) - Number(b.protocol !== 0));
  remove.sort((a, b) => Number(b.protocol !== 0) - Number(a.protocol !== 0));
  return {
    add: add.map((row) => ({ op: 'add-vip', row })),
    remove: remove.map((row) => ({ op: 'remove-vip', row })),
  };
}

function filterOp(...tables: readonly Tables[]): TableOp {
  const addresses = new Set<Ip>();
  for (const { vips } of tables) for (const { address } of vips.values()) addresses.add(address);
  return { op: 'write-filter', addresses: [...addresses].sort() };
}

export function sameService(a: Service, b: Service): boolean {
  return (
    a === b ||
    (a.pool === b.pool &&
      a.flags === b.flags &&
      a.schedule === b.schedule &&
      a.quic === b.quic &&
      a.maxSegment === b.maxSegment &&
      a.access === b.access &&
      a.listenerLimit === b.listenerLimit &&
      a.balancerLimit === b.balancerLimit &&
      a.identity === b.identity &&
      a.timeoutTicks.every((ticks, i) => ticks === b.timeoutTicks[i]))
  );
}

export function sameBackend(a: Backend, b: Backend): boolean {
  return (
    a.flags === b.flags &&
    a.forwarding === b.forwarding &&
    a.mtu === b.mtu &&
    a.pool === b.pool &&
    a.outerSum === b.outerSum &&
    a.outerBytes === b.outerBytes &&
    a.egress === b.egress &&
    a.tunnelPort === b.tunnelPort &&
    a.weight === b.weight &&
    a.identity === b.identity &&
    Buffer.compare(a.nextHop, b.nextHop) === 0 &&
    Buffer.compare(a.address, b.address) === 0 &&
    Buffer.compare(a.source, b.source) === 0
  );
}

export function sameEgress(a: Egress, b: Egress): boolean {
  return (
    a === b ||
    (a.vlan === b.vlan &&
      a.portCount === b.portCount &&
      a.flags === b.flags &&
      a.ports.every((port, i) => port === b.ports[i]) &&
      Buffer.compare(a.mac, b.mac) === 0 &&
      Buffer.compare(a.name, b.name) === 0)
  );
}
