import { type Backend, BackendFlags, backendSize, Forwarding, writeBackend } from '../../src/abi/abi.generated.js';
import { ipToBytes, parseMac } from '../../src/base/ip.js';
import { outerSum } from '../../src/compile/pool.js';

export interface BackendEntry {
  readonly mac: string | null;
  readonly forwarding: 'L2_DSR' | 'IPIP4' | 'IPIP6' | 'GUE4' | 'GUE6';
  readonly address: string;
  readonly source: string;
  readonly flags?: number;
  /** Row of `egresses`. */
  readonly egress?: number;
}

/** Port of GUE in these tests. */
export const tunnelPort = 6080;
const outerBytes = { L2_DSR: 0, IPIP4: 20, IPIP6: 40, GUE4: 28, GUE6: 48 } as const;

/** struct backend, as the agent fills it. */
export function encodeBackendEntry(entry: BackendEntry): Uint8Array {
  const address = ipToBytes(entry.address);
  const source = ipToBytes(entry.source);
  const { forwarding, egress = 0, flags = BackendFlags.BACKEND_IN_USE } = entry;
  const row: Backend = {
    nextHop: entry.mac === null ? new Uint8Array(6) : parseMac(entry.mac)!,
    forwarding: Forwarding[`FORWARD_${forwarding}`],
    flags: flags | (egress === 0 ? 0 : BackendFlags.BACKEND_STEERED),
    outerSum: outerSum(source, address, forwarding === 'GUE4' ? 17 : 4),
    egress,
    tunnelPort: forwarding.startsWith('GUE') ? tunnelPort : 0,
    identity: 1n,
    address,
    source,
    mtu: 1500,
    pool: 0,
    outerBytes: outerBytes[forwarding],
    weight: 100,
  };
  const bytes = new Uint8Array(backendSize);
  writeBackend(new DataView(bytes.buffer), 0, row);
  return bytes;
}
