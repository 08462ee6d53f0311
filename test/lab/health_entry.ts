import { ipToBytes, parseMac } from '../../src/base/ip.js';

/** enum forwarding and enum backend_flags of bpf/abi_types.h. */
export const forwardings = { L2_DSR: 1, IPIP4: 2, IPIP6: 3 } as const;
export const flagInUse = 1;

export interface BackendEntry {
  readonly mac: string | null;
  readonly forwarding: keyof typeof forwardings;
  readonly address: string;
  readonly source: string;
  readonly flags?: number;
}

export const backendEntryBytes = 64;

/** struct backend, as the agent fills it. */
export function encodeBackendEntry(entry: BackendEntry): Uint8Array {
  const bytes = Buffer.alloc(backendEntryBytes);
  const address = ipToBytes(entry.address);
  const source = ipToBytes(entry.source);
  if (entry.mac !== null) bytes.set(parseMac(entry.mac)!, 0);
  bytes[6] = forwardings[entry.forwarding];
  bytes[7] = entry.flags ?? flagInUse;
  bytes.writeUInt32LE(outerSum(address, source), 8);
  bytes.set(address, 24);
  bytes.set(source, 40);
  bytes.writeUInt32LE(1500, 56);
  return bytes;
}

/** Version and length, DF, TTL 64 and protocol 4, both addresses: in 16-bit words as they lie in memory. */
function outerSum(address: Uint8Array, source: Uint8Array): number {
  const words = Buffer.from([0x45, 0, 0x40, 0, 64, 4, ...source.subarray(12), ...address.subarray(12)]);
  let sum = 0;
  for (let i = 0; i < words.length; i += 2) sum += words.readUInt16LE(i);
  return sum;
}
