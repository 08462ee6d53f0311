import type { Backend, Egress, Service } from '../abi/abi.generated.js';
import type { Ip } from '../base/ip.js';
import type { AccessEntries } from './access-entries.js';
import { type QuicRoutingRow, type QuicServerRow, quicServerKeyText } from './quic.js';
import type { SlotOrder } from './slots.js';
import type { LimitRow, PoolMember, VipRow } from './tables.js';

/** One step on the data plane. Effects are data: one interpreter (dataplane/apply.ts) performs them. */
export type TableOp =
  | { readonly op: 'write-egress'; readonly id: number; readonly row: Egress }
  | { readonly op: 'clear-egress'; readonly id: number }
  | { readonly op: 'write-backend'; readonly id: number; readonly row: Backend }
  /** Its sessions select anew; the number stays taken until no session names it. */
  | { readonly op: 'retire-backend'; readonly id: number; readonly row: Backend }
  /** Fills a table that no pool reads. */
  | {
      readonly op: 'fill-table';
      readonly table: number;
      readonly order: SlotOrder;
      readonly members: readonly PoolMember[];
    }
  /** One store: from here on the pool reads `table`; the one before serves handshakes under way for a while. */
  | {
      readonly op: 'swap-table';
      readonly pool: number;
      readonly table: number;
      /** Of `table`, before they come again. */
      readonly slots: number;
      readonly previousTable: number | null;
      /** Of `previousTable`. */
      readonly previousSlots: number;
      readonly recipe: bigint;
      readonly identity: bigint;
    }
  /** Gives up the table before the last swap ahead of time: no other was free. */
  | { readonly op: 'end-handover'; readonly pool: number; readonly table: number }
  | { readonly op: 'clear-pool'; readonly pool: number }
  /** Entries that the list has not; it may be in use. */
  | { readonly op: 'add-access'; readonly list: number; readonly entries: AccessEntries }
  | { readonly op: 'remove-access'; readonly list: number; readonly entries: AccessEntries }
  /** What a limit of the same identity has counted stays. */
  | { readonly op: 'write-limit'; readonly id: number; readonly row: LimitRow }
  | { readonly op: 'clear-limit'; readonly id: number }
  | { readonly op: 'write-quic-routing'; readonly id: number; readonly row: QuicRoutingRow }
  | { readonly op: 'clear-quic-routing'; readonly id: number }
  | { readonly op: 'add-quic-server'; readonly row: QuicServerRow }
  | { readonly op: 'remove-quic-server'; readonly row: QuicServerRow }
  | { readonly op: 'write-service'; readonly id: number; readonly row: Service }
  | { readonly op: 'clear-service'; readonly id: number }
  | { readonly op: 'write-filter'; readonly addresses: readonly Ip[] }
  | { readonly op: 'add-vip'; readonly row: VipRow }
  | { readonly op: 'remove-vip'; readonly row: VipRow };

export function describeOp(op: TableOp): string {
  switch (op.op) {
    case 'write-egress':
      return `write egress ${op.id}`;
    case 'clear-egress':
      return `clear egress ${op.id}`;
    case 'write-backend':
      return `write backend ${op.id}`;
    case 'retire-backend':
      return `retire backend ${op.id}`;
    case 'fill-table':
      return `fill table ${op.table} with ${op.members.length} backends (${op.order})`;
    case 'swap-table':
      return `swap pool ${op.pool} to table ${op.table}`;
    case 'end-handover':
      return `end the handover of pool ${op.pool}`;
    case 'clear-pool':
      return `clear pool ${op.pool}`;
    case 'add-access':
      return `add ${op.entries.count} entries to access list ${op.list}`;
    case 'remove-access':
      return `remove ${op.entries.count} entries from access list ${op.list}`;
    case 'write-limit':
      return `write limit ${op.id}`;
    case 'clear-limit':
      return `clear limit ${op.id}`;
    case 'write-quic-routing':
      return `write QUIC configurations ${op.id}`;
    case 'clear-quic-routing':
      return `clear QUIC configurations ${op.id}`;
    case 'add-quic-server':
      return `add QUIC server ${quicServerKeyText(op.row)}`;
    case 'remove-quic-server':
      return `remove QUIC server ${quicServerKeyText(op.row)}`;
    case 'write-service':
      return `write service ${op.id}`;
    case 'clear-service':
      return `clear service ${op.id}`;
    case 'write-filter':
      return `write the VIP filter for ${op.addresses.length} addresses`;
    case 'add-vip':
      return op.row.protocol === 0 ? `add VIP ${op.row.address}` : `add ${vipText(op.row)}`;
    case 'remove-vip':
      return op.row.protocol === 0 ? `remove VIP ${op.row.address}` : `remove ${vipText(op.row)}`;
  }
}

function vipText({ address, port, protocol }: VipRow): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${protocol === 6 ? 'tcp' : 'udp'} ${host}:${port}`;
}
