import * as abi from '../abi/abi.generated.js';
import { bytesToIp, ipToBytes } from '../base/ip.js';
import { maglevSlots } from '../compile/maglev.js';
import type { TableOp } from '../compile/ops.js';
import { fillSlots } from '../compile/slots.js';
import { type PoolRow, type Tables, type VipRow, vipKeyText } from '../compile/tables.js';
import { buildVipFilter } from '../compile/vip-filter.js';
import { AccessMap } from './access.js';
import type { BpfMap } from './addon.js';
import { LimitMap } from './limits.js';
import { Loads } from './loads.js';
import { FillAhead } from './maglev-fill.js';
import { QuicMaps } from './quic-maps.js';
import { SourceCells } from './sources.js';
import { HELD_UP_MS, programsReturned, TableRest } from './table-rest.js';

/** How long the table before a swap serves handshakes that began with it: a SYN's retransmissions fit in. */
export const HANDOVER_MS = 10_000;

export interface ControlMaps {
  readonly vips: BpfMap;
  readonly vip_filter: BpfMap;
  readonly services: BpfMap;
  readonly pools: BpfMap;
  readonly maglev: BpfMap;
  readonly backends: BpfMap;
  readonly loads: BpfMap;
  readonly turns: BpfMap;
  readonly egresses: BpfMap;
  readonly access: BpfMap;
  readonly limits: BpfMap;
  readonly refusals: BpfMap;
  readonly quic_routes: BpfMap;
  readonly quic_servers: BpfMap;
  readonly aes: BpfMap;
  readonly sources: BpfMap;
}

function keyOf(id: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(id).buffer);
}

function encode<Row>(size: number, write: (view: DataView, at: number, row: Row) => void, row: Row): Uint8Array {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer), 0, row);
  return bytes;
}

/**
 * Rows of an array map, with a shadow of what was written last: a row that still has those bytes is given back as the
 * very object that was written, so that comparing tables costs a reference.
 */
class RowMap<Row> {
  readonly #shadow: Uint8Array;
  readonly #rows: (Row | undefined)[] = [];

  constructor(
    readonly map: BpfMap,
    private readonly size: number,
    private readonly readRow: (view: DataView, at: number) => Row,
    private readonly writeRow: (view: DataView, at: number, row: Row) => void,
    private readonly inUse: (row: Row) => boolean,
  ) {
    this.#shadow = new Uint8Array(map.info.maxEntries * size);
  }

  read(): Map<number, Row> {
    const count = this.map.info.maxEntries;
    const bytes = this.map.readRange(0, count);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const found = new Map<number, Row>();
    const kernel = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let id = 0; id < count; id++) {
      const at = id * this.size;
      const known = this.#rows[id];
      if (known !== undefined && kernel.compare(this.#shadow, at, at + this.size, at, at + this.size) === 0) {
        found.set(id, known);
        continue;
      }
      if (isZero(kernel, at, this.size)) continue;
      const row = this.readRow(view, at);
      if (this.inUse(row)) found.set(id, row);
    }
    return found;
  }

  write(entries: readonly (readonly [number, Row])[]): void {
    const keys = new Uint32Array(entries.length);
    const values = new Uint8Array(entries.length * this.size);
    const view = new DataView(values.buffer);
    entries.forEach(([id, row], i) => {
      keys[i] = id;
      this.writeRow(view, i * this.size, row);
      this.#shadow.set(values.subarray(i * this.size, (i + 1) * this.size), id * this.size);
      this.#rows[id] = row;
    });
    if (entries.length === 1) this.map.update(new Uint8Array(keys.buffer), values);
    else this.map.updateBatch(new Uint8Array(keys.buffer), values, entries.length);
  }

  clear(id: number): void {
    this.map.update(keyOf(id), new Uint8Array(this.size));
    this.#rows[id] = undefined;
  }
}

function isZero(bytes: Buffer, at: number, size: number): boolean {
  for (let i = at; i < at + size; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Reads the control maps, and performs the steps of a plan on them. The one interpreter of TableOp. */
export class ControlTables {
  readonly #services: RowMap<abi.Service>;
  readonly #pools: RowMap<abi.Pool>;
  readonly #backends: RowMap<abi.Backend>;
  readonly loads: Loads;
  readonly #egresses: RowMap<abi.Egress>;
  readonly access: AccessMap;
  readonly limitRows: LimitMap;
  readonly #quic: QuicMaps;
  readonly sources: SourceCells;
  readonly #rest: TableRest;

  constructor(
    private readonly maps: ControlMaps,
    private readonly clock: { now32(): number; limitTime(): bigint; readonly tickMs: number },
    /** Resolves when every program that was running at the call has returned. */
    returned: () => Promise<void> = programsReturned,
  ) {
    this.#rest = new TableRest(returned);
    const inUse = (row: { flags: number }): boolean => (row.flags & 1) !== 0;
    this.#services = new RowMap(maps.services, abi.serviceSize, abi.readService, abi.writeService, inUse);
    this.#pools = new RowMap(maps.pools, abi.poolSize, abi.readPool, abi.writePool, inUse);
    this.#backends = new RowMap(maps.backends, abi.backendSize, abi.readBackend, abi.writeBackend, inUse);
    this.loads = new Loads(maps.loads);
    this.#egresses = new RowMap(maps.egresses, abi.egressSize, abi.readEgress, abi.writeEgress, inUse);
    this.access = new AccessMap(maps.access);
    this.limitRows = new LimitMap(maps);
    this.#quic = new QuicMaps(maps);
    this.sources = new SourceCells(maps.sources);
  }

  /** The data path's time, 32 bits. */
  get tick(): number {
    return this.clock.now32();
  }

  /** The data path's time as limits count it. */
  get limitTime(): bigint {
    return this.clock.limitTime();
  }

  /** Rows of `vips`: addresses, and listeners at each. */
  get vipCapacity(): number {
    return this.maps.vips.info.maxEntries;
  }

  /** Highest numbers that the maps have room for: those of the agent that made them. */
  get limits(): { services: number; backends: number; pools: number; accessListEntries: number } {
    const { services, backends, pools, access } = this.maps;
    return {
      services: services.info.maxEntries - 1,
      backends: backends.info.maxEntries - 1,
      pools: pools.info.maxEntries - 1,
      accessListEntries: access.info.maxEntries >> 1,
    };
  }

  get tableCount(): number {
    return this.maps.maglev.info.maxEntries;
  }

  /** Maglev tables that were in use once, the one freed first at the front. */
  get freedTables(): readonly number[] {
    return this.#rest.freed;
  }

  /** `known`: what the access lists hold, for reading them takes long. */
  read(known?: Pick<Tables, 'access'>): Tables {
    const pools = new Map<number, PoolRow>();
    for (const [id, placed] of this.#pools.read()) {
      pools.set(id, { identity: placed.identity, recipe: placed.recipe, order: 'maglev', members: [], placed });
    }
    return {
      vips: this.#readVips(),
      services: this.#services.read(),
      pools,
      backends: this.#backends.read(),
      egresses: this.#egresses.read(),
      access: known?.access ?? this.access.read(),
      limits: this.limitRows.read(),
      ...this.#quic.read(),
    };
  }

  #readVips(): Map<string, VipRow> {
    const { count, keys, values } = this.maps.vips.entries();
    const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
    const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
    const vips = new Map<string, VipRow>();
    for (let i = 0; i < count; i++) {
      const { address, port, protocol } = abi.readVipKey(keyView, i * abi.vipKeySize);
      const { service } = abi.readVipValue(valueView, i * abi.vipValueSize);
      const row = { address: bytesToIp(address), port, protocol, service };
      vips.set(vipKeyText(row), row);
    }
    return vips;
  }

  /** Does the VIP filter hold a bit for each of these, and no other? */
  filterMatches(addresses: Iterable<string>): boolean {
    const held = this.maps.vip_filter.lookup(keyOf(0));
    return held !== null && Buffer.compare(held, buildVipFilter(addresses)) === 0;
  }

  /** Slots of a table as the kernel has them. */
  readTable(table: number): Uint16Array {
    const bytes = this.maps.maglev.lookup(keyOf(table));
    if (!bytes) throw new Error(`no Maglev table ${table}`);
    return new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + maglevSlots * 2));
  }

  tableMatches(table: number, row: Pick<PoolRow, 'order' | 'members'>): boolean {
    return Buffer.compare(new Uint8Array(this.readTable(table).buffer), new Uint8Array(fillSlots(row).buffer)) === 0;
  }

  /** In order; runs of the same step go to the kernel as one batch. `onStep` between batches lets others have a turn. */
  async apply(ops: readonly TableOp[], onStep: (done: number) => Promise<void> = async () => {}): Promise<void> {
    const fills = new FillAhead(ops);
    for (let i = 0; i < ops.length; ) {
      const run = runOf(ops, i);
      const op = run[0]!;
      if (op.op === 'fill-table') {
        const slots = await fills.take(i, op);
        await this.#rest.take(op.table);
        this.maps.maglev.update(keyOf(op.table), slots);
      } else this.#perform(run);
      i += run.length;
      await onStep(i);
    }
  }

  #perform(run: readonly TableOp[]): void {
    const op = run[0]!;
    switch (op.op) {
      case 'write-backend':
      case 'retire-backend':
        this.#backends.write(run.map((step) => [(step as typeof op).id, (step as typeof op).row] as const));
        break;
      case 'write-egress':
        this.#egresses.write([[op.id, op.row]]);
        break;
      case 'clear-egress':
        this.#egresses.clear(op.id);
        break;
      case 'write-service':
        this.#services.write(run.map((step) => [(step as typeof op).id, (step as typeof op).row] as const));
        break;
      case 'fill-table':
        throw new Error('filled by apply');
      case 'swap-table':
        this.#swapTable(op);
        break;
      case 'end-handover': {
        const now = this.poolRow(op.pool);
        if (!now) break;
        this.#pools.write([[op.pool, { ...now, previousTable: now.table, previousSlots: now.slots }]]);
        this.#freeTables(now, [now.table]);
        break;
      }
      case 'clear-pool':
        this.#clearPool(op.pool);
        break;
      case 'add-access':
        this.access.add(op.list, op.entries);
        break;
      case 'remove-access':
        this.access.remove(op.list, op.entries);
        break;
      case 'write-limit':
        this.limitRows.write(op.id, op.row);
        break;
      case 'clear-limit':
        this.limitRows.clear(op.id);
        break;
      case 'write-quic-routing':
      case 'clear-quic-routing':
      case 'add-quic-server':
      case 'remove-quic-server':
        this.#quic.perform(op);
        break;
      case 'clear-service':
        this.#services.clear(op.id);
        break;
      case 'write-filter':
        this.maps.vip_filter.update(keyOf(0), buildVipFilter(op.addresses));
        break;
      case 'add-vip':
        this.maps.vips.update(vipKeyBytes(op.row), keyOf(op.row.service));
        break;
      case 'remove-vip':
        this.maps.vips.delete(vipKeyBytes(op.row));
        break;
    }
  }

  /** The end of the handover first: a row is written word by word, and `table` is what makes the rest count. */
  #swapTable(op: Extract<TableOp, { op: 'swap-table' }>): void {
    const row = placedPool(op, this.#handoverEnd());
    const before = this.poolRow(op.pool);
    if (before && before.identity === op.identity) {
      const { previousTable, previousSlots, handoverUntil } = row;
      this.#pools.write([[op.pool, { ...before, previousTable, previousSlots, handoverUntil }]]);
    }
    this.#pools.write([[op.pool, row]]);
    if (before) this.#freeTables(before, [row.table, row.previousTable]);
  }

  #clearPool(id: number): void {
    const before = this.poolRow(id);
    this.#pools.clear(id);
    if (before) this.#freeTables(before, []);
  }

  /** Those that the row named, `kept` excepted. */
  #freeTables({ table, previousTable, handoverUntil, flags }: abi.Pool, kept: readonly number[]): void {
    if (!(flags & abi.PoolFlags.POOL_IN_USE)) return;
    const sinceEnd = ((this.tick - handoverUntil) | 0) * this.clock.tickMs;
    for (const one of new Set([previousTable, table])) {
      if (!kept.includes(one)) this.#rest.free(one, { unread: one !== table && sinceEnd > HELD_UP_MS });
    }
  }

  #handoverEnd(): number {
    return (this.clock.now32() + Math.ceil(HANDOVER_MS / this.clock.tickMs)) >>> 0;
  }

  poolRow(id: number): abi.Pool | undefined {
    const bytes = this.maps.pools.lookup(keyOf(id));
    return bytes ? abi.readPool(new DataView(bytes.buffer, bytes.byteOffset), 0) : undefined;
  }

  /** Of a pool whose slots are taken in turn: how many were, ever. */
  turnOf(pool: number): bigint {
    const bytes = this.maps.turns.lookup(keyOf(pool));
    return bytes ? abi.readTurn(new DataView(bytes.buffer, bytes.byteOffset), 0).next : 0n;
  }

  /** Of these backends, those that a packet may still be sent to by the table before a swap. */
  namedInHandovers(ids: ReadonlySet<number>): Set<number> {
    const now = this.tick;
    const named = new Set<number>();
    for (const { table, previousTable, handoverUntil } of this.#pools.read().values()) {
      if (previousTable === table || ((handoverUntil - now) | 0) < 0) continue;
      for (const id of this.readTable(previousTable)) if (ids.has(id)) named.add(id);
    }
    return named;
  }

  /** Frees the number of a retired backend: neither a session nor a handover names it any more. */
  freeBackend(id: number): void {
    this.#backends.clear(id);
    this.loads.reset(id);
  }
}

export function placedPool(op: Extract<TableOp, { op: 'swap-table' }>, handoverUntil: number): abi.Pool {
  return {
    table: op.table,
    previousTable: op.previousTable ?? op.table,
    handoverUntil,
    slots: op.slots,
    previousSlots: op.previousSlots,
    flags: abi.PoolFlags.POOL_IN_USE,
    recipe: op.recipe,
    identity: op.identity,
  };
}

function vipKeyBytes({ address, port, protocol }: VipRow): Uint8Array {
  return encode(abi.vipKeySize, abi.writeVipKey, { address: ipToBytes(address), port, protocol });
}

const batched = new Set(['write-backend', 'retire-backend', 'write-service']);

function runOf(ops: readonly TableOp[], from: number): readonly TableOp[] {
  const kind = ops[from]!.op;
  if (!batched.has(kind)) return ops.slice(from, from + 1);
  let end = from + 1;
  while (end < ops.length && ops[end]!.op === kind) end++;
  return ops.slice(from, end);
}
