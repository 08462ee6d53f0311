import type { Backend, Egress, Limit, Pool, Service } from '../abi/abi.generated.js';
import type { Ip } from '../base/ip.js';
import type { AccessEntries } from './access-entries.js';
import type { QuicRoutingRow, QuicServerRow } from './quic.js';
import type { SlotOrder } from './slots.js';

/** What the kernel's control maps hold, or should hold: rows by id. Rows are immutable; equal references are equal. */
export interface Tables {
  readonly vips: ReadonlyMap<string, VipRow>;
  readonly services: ReadonlyMap<number, Service>;
  readonly pools: ReadonlyMap<number, PoolRow>;
  readonly backends: Rows<Backend>;
  readonly egresses: ReadonlyMap<number, Egress>;
  /** By number; an empty list is not in the kernel. */
  readonly access: ReadonlyMap<number, AccessEntries>;
  readonly limits: ReadonlyMap<number, LimitRow>;
  readonly quicRoutings: ReadonlyMap<number, QuicRoutingRow>;
  readonly quicServers: ReadonlyMap<string, QuicServerRow>;
}

/** What is used of a ReadonlyMap by id. */
export interface Rows<Row> extends Pick<ReadonlyMap<number, Row>, 'get' | 'has' | 'size'> {
  [Symbol.iterator](): IterableIterator<[number, Row]>;
  keys(): IterableIterator<number>;
  values(): IterableIterator<Row>;
}

/** Key of Tables.vips: {@link vipKeyText}. */
export interface VipRow {
  readonly address: Ip;
  /** 0 with protocol 0: marks the address as a VIP. */
  readonly port: number;
  /** IP protocol number. */
  readonly protocol: number;
  readonly service: number;
}

/** What is set of a limit; the rest of its row is what it counts. */
export type LimitRow = Pick<Limit, 'identity' | 'flags' | 'sessions' | 'interval' | 'sourceInterval' | 'burst'>;

export interface PoolRow {
  readonly identity: bigint;
  /** Digest of `order` and `members`: equal digest, equal table. */
  readonly recipe: bigint;
  /** As `members`. */
  readonly order: SlotOrder;
  /** Known of what should be; what is in the kernel is known by its recipe alone. */
  readonly members: readonly PoolMember[];
  /** Where it lives; null of what should be: the plan decides. */
  readonly placed: Pool | null;
}

export interface PoolMember {
  readonly backend: number;
  /** What places it in the table; the same on every node. */
  readonly seed: string;
  /** Above 0; of the members of a pool only the ratio counts. */
  readonly weight: number;
}

export const emptyTables: Tables = {
  vips: new Map(),
  services: new Map(),
  pools: new Map(),
  backends: new Map(),
  egresses: new Map(),
  access: new Map(),
  limits: new Map(),
  quicRoutings: new Map(),
  quicServers: new Map(),
};

export const protocolNumber = { tcp: 6, udp: 17 } as const;

export function vipKeyText(row: Omit<VipRow, 'service'>): string {
  return `${row.protocol}/${row.address}/${row.port}`;
}
