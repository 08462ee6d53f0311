/**
 * A kernel that performs the steps of a plan on plain objects, and says after each of them what would go wrong with a
 * packet that came now.
 */
import { BlockList } from 'node:net';
import { type Backend, BackendFlags, type Egress, PoolFlags, type Service } from '../../src/abi/abi.generated.js';
import { bytesToIp, type Ip } from '../../src/base/ip.js';
import { AccessEntries } from '../../src/compile/access-entries.js';
import type { TableOp } from '../../src/compile/ops.js';
import { type QuicRoutingRow, type QuicServerRow, quicServerKeyText } from '../../src/compile/quic.js';
import { slotCount } from '../../src/compile/slots.js';
import type { LimitRow, PoolRow, Tables, VipRow } from '../../src/compile/tables.js';
import { vipKeyText } from '../../src/compile/tables.js';

const HANDOVER_TICKS = 40;

export class Machine {
  readonly vips = new Map<string, VipRow>();
  readonly services = new Map<number, Service>();
  readonly pools = new Map<number, PoolRow>();
  readonly backends = new Map<number, Backend>();
  readonly egresses = new Map<number, Egress>();
  readonly access = new Map<number, AccessEntries>();
  readonly limits = new Map<number, LimitRow>();
  readonly quicRoutings = new Map<number, QuicRoutingRow>();
  readonly quicServers = new Map<string, QuicServerRow>();
  /** Who is in each Maglev table. */
  readonly contents = new Map<number, Pick<PoolRow, 'order' | 'members'>>();
  filter: ReadonlySet<Ip> = new Set();
  /** Faults of single steps, which the state after them does not show. */
  readonly faults: string[] = [];

  constructor(
    readonly tableCount: number,
    /** 32 bits. */
    public tick = 0xffff_ff00,
  ) {}

  /** As ControlTables.read gives them: retired backends and all. */
  tables(): Tables {
    const pools = [...this.pools].map(([id, row]): [number, PoolRow] => [id, { ...row, order: 'maglev', members: [] }]);
    return {
      vips: new Map(this.vips),
      services: new Map(this.services),
      pools: new Map(pools),
      backends: new Map(this.backends),
      egresses: new Map(this.egresses),
      access: new Map(this.access),
      limits: new Map(this.limits),
      quicRoutings: new Map(this.quicRoutings),
      quicServers: new Map(this.quicServers),
    };
  }

  perform(op: TableOp): void {
    switch (op.op) {
      case 'write-egress':
        this.egresses.set(op.id, op.row);
        break;
      case 'clear-egress':
        this.egresses.delete(op.id);
        break;
      case 'write-backend':
      case 'retire-backend':
        this.backends.set(op.id, op.row);
        break;
      case 'fill-table':
        this.#fill(op);
        break;
      case 'swap-table':
        this.#swap(op);
        break;
      case 'end-handover':
        this.#endHandover(op.pool);
        break;
      case 'clear-pool':
        this.pools.delete(op.pool);
        break;
      case 'add-access':
        this.#addAccess(op.list, op.entries);
        break;
      case 'remove-access':
        this.#removeAccess(op.list, op.entries);
        break;
      case 'write-limit':
        this.limits.set(op.id, op.row);
        break;
      case 'clear-limit':
        this.limits.delete(op.id);
        break;
      case 'write-quic-routing':
        this.quicRoutings.set(op.id, { recipe: op.row.recipe, configs: [] });
        break;
      case 'clear-quic-routing':
        this.quicRoutings.delete(op.id);
        break;
      case 'add-quic-server':
        this.quicServers.set(quicServerKeyText(op.row), op.row);
        break;
      case 'remove-quic-server':
        this.quicServers.delete(quicServerKeyText(op.row));
        break;
      case 'write-service':
        this.services.set(op.id, op.row);
        break;
      case 'clear-service':
        this.services.delete(op.id);
        break;
      case 'write-filter':
        this.filter = new Set(op.addresses);
        break;
      case 'add-vip':
        this.vips.set(vipKeyText(op.row), op.row);
        break;
      case 'remove-vip':
        this.vips.delete(vipKeyText(op.row));
        break;
    }
  }

  #fill({ table, members, order }: Extract<TableOp, { op: 'fill-table' }>): void {
    if (table < 0 || table >= this.tableCount) this.faults.push(`there is no table ${table}`);
    for (const [id, { placed }] of this.pools) {
      if (placed?.table === table || placed?.previousTable === table) {
        this.faults.push(`table ${table} is filled while pool ${id} reads it`);
      }
    }
    this.contents.set(table, { order, members });
  }

  #swap({ pool, table, previousTable, ...rest }: Extract<TableOp, { op: 'swap-table' }>): void {
    const { slots, previousSlots, recipe, identity } = rest;
    const handoverUntil = (this.tick + HANDOVER_TICKS) >>> 0;
    const flags = PoolFlags.POOL_IN_USE;
    const from = previousTable ?? table;
    const placed = { table, previousTable: from, handoverUntil, slots, previousSlots, flags, recipe, identity };
    const content = this.contents.get(table) ?? { order: 'maglev', members: [] };
    if (slots !== slotCount(content)) this.faults.push(`table ${table} has not ${slots} slots`);
    if (previousTable !== null && previousTable === table) this.faults.push(`pool ${pool} hands over to itself`);
    this.pools.set(pool, { identity, recipe, ...content, placed });
  }

  #endHandover(pool: number): void {
    const row = this.pools.get(pool);
    if (row?.placed) this.pools.set(pool, { ...row, placed: { ...row.placed, previousTable: row.placed.table } });
  }

  #addAccess(list: number, entries: AccessEntries): void {
    const held = this.access.get(list) ?? AccessEntries.empty;
    const keys = Buffer.concat([held.keys(list), entries.minus(held).keys(list)]);
    this.access.set(list, AccessEntries.byList(keys).get(list)!);
  }

  #removeAccess(list: number, entries: AccessEntries): void {
    const rest = (this.access.get(list) ?? AccessEntries.empty).minus(entries);
    if (rest.count === 0) this.access.delete(list);
    else this.access.set(list, rest);
  }

  /** Frees the numbers of removed backends, as when no session names them any more. */
  freeRetired(): void {
    for (const [id, { flags }] of this.backends) if (flags & BackendFlags.BACKEND_RETIRED) this.backends.delete(id);
  }

  /** May this client begin a flow with the service that this row leads to? null: there is none. */
  lets(key: string, client: Ip): boolean | null {
    const row = this.vips.get(key);
    const service = row && this.services.get(row.service);
    if (!service) return null;
    const { access } = service;
    if (access === 0) return true;
    const entries = this.access.get(access & 0xffff)?.toJSON() ?? [];
    return covers(entries, client) === access >= 0x8000_0000;
  }

  /** What is wrong for a packet that comes now. `allowed`: where packets to a VIP's port may go, by vipKeyText. */
  problems(allowed: ReadonlyMap<string, ReadonlySet<Ip>>): string[] {
    return [...this.faults, ...[...this.vips.values()].flatMap((row) => this.#problemsOf(row, allowed))];
  }

  #problemsOf(row: VipRow, allowed: ReadonlyMap<string, ReadonlySet<Ip>>): string[] {
    const key = vipKeyText(row);
    const wrong = (what: string): string[] => [`${key}: ${what}`];
    if (!this.filter.has(row.address)) return wrong('not in the filter');
    if (row.protocol === 0) return [];
    if (!this.vips.has(vipKeyText({ address: row.address, port: 0, protocol: 0 }))) return wrong('not marked as a VIP');
    const service = this.services.get(row.service);
    if (!service) return wrong(`no service ${row.service}`);
    if (service.quic !== 0 && !this.quicRoutings.has(service.quic)) return wrong(`no QUIC configs ${service.quic}`);
    const servers = [...this.quicServers.values()].filter(({ pool }) => pool === service.pool);
    for (const { backend } of service.quic === 0 ? [] : servers) {
      const row = this.backends.get(backend);
      if (!row) return wrong(`a QUIC server id names backend ${backend}, which is not there`);
      if (row.flags & BackendFlags.BACKEND_RETIRED) return wrong(`a QUIC server id names retired backend ${backend}`);
      const address = bytesToIp(row.address);
      if (!allowed.get(key)?.has(address)) return wrong(`a QUIC server id leads to ${address}`);
    }
    const pool = this.pools.get(service.pool);
    if (!pool?.placed) return wrong(`no pool ${service.pool}`);
    const content = this.contents.get(pool.placed.table);
    if (!content) return wrong(`table ${pool.placed.table} was never filled`);
    return content.members.flatMap(({ backend }) => {
      const target = this.backends.get(backend);
      if (!target) return wrong(`no backend ${backend}`);
      if (target.flags & BackendFlags.BACKEND_RETIRED) return wrong(`backend ${backend} is retired`);
      if (!(target.flags & BackendFlags.BACKEND_UP)) return wrong(`backend ${backend} is down`);
      if (target.egress !== 0 && !this.egresses.has(target.egress)) return wrong(`no egress ${target.egress}`);
      const address = bytesToIp(target.address);
      return allowed.get(key)?.has(address) ? [] : wrong(`goes to ${address}, which is none of its backends`);
    });
  }
}

/** `entries`: as AccessEntries.toJSON has them. */
export function covers(entries: readonly string[], client: Ip): boolean {
  const blocks = new BlockList();
  const family = client.includes(':') ? 'ipv6' : 'ipv4';
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    if (address.includes(':') === (family === 'ipv6')) blocks.addSubnet(address, Number(bits), family);
  }
  return blocks.check(client, family);
}
