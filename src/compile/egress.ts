import { type Egress, EgressFlags } from '../abi/abi.generated.js';
import { parseMac } from '../base/ip.js';
import type { WayOut } from '../netlink/types.js';
import type { CompiledPool, Observed } from './compiled.js';
import { rememberedIdentity } from './identity.js';
import type { IdLedger } from './ids.js';
import type { Tables } from './tables.js';

/** Slaves of a bond that a row has room for. */
const EGRESS_PORTS = 8;
/** IFNAMSIZ */
const NAME_BYTES = 16;

/** Rows are numbered by the device's name, so that a changed MAC or slave is a change of one row alone. */
export function egressIdentity(device: string): bigint {
  return rememberedIdentity('egress', device);
}

export function egressRow({ device, ports, mac, vlan }: WayOut): Egress {
  const used = ports.slice(0, EGRESS_PORTS);
  const name = new Uint8Array(NAME_BYTES);
  new TextEncoder().encodeInto(device, name.subarray(0, NAME_BYTES - 1));
  return {
    ports: Array.from({ length: EGRESS_PORTS }, (_, i) => used[i] ?? 0),
    mac: parseMac(mac) ?? new Uint8Array(6),
    vlan,
    portCount: used.length,
    flags: EgressFlags.EGRESS_IN_USE,
    name,
  };
}

export function egressDevice({ name }: Egress): string {
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}

/**
 * A row for each device that backends are steered out of. One that is not seen keeps the row in force: next hops that
 * were taken over from the agent before go by it until the kernel knows better.
 */
export function egressRows(
  pools: Iterable<CompiledPool>,
  { waysOut }: Observed,
  { ids, inForce }: { ids: IdLedger; inForce: Tables },
): Map<number, Egress> {
  const rows = new Map<number, Egress>();
  for (const device of new Set([...pools].flatMap((pool) => pool.devices))) {
    const id = ids.egresses.assign(egressIdentity(device));
    const way = waysOut.get(device);
    const row = way ? egressRow(way) : inForce.egresses.get(id);
    if (row) rows.set(id, row);
  }
  return rows;
}
