import { bytesToIp, familyOf, type Ip, ipToBytes, parseIp } from '../base/ip.js';

export interface Prefix {
  readonly address: Ip;
  readonly bits: number;
}

/** "203.0.113.0/24", "2001:db8::/48", or a single address; null when it is none, or has bits behind its length. */
export function parsePrefix(text: string): Prefix | null {
  const [host = '', length, ...rest] = text.split('/');
  const address = parseIp(host);
  if (address === null || rest.length > 0) return null;
  const most = familyOf(address) === 4 ? 32 : 128;
  if (length === undefined) return { address, bits: most };
  if (!/^\d{1,3}$/.test(length) || Number(length) > most) return null;
  const bits = Number(length);
  return hasHostBits(ipToBytes(address), bits + 128 - most) ? null : { address, bits };
}

export function formatPrefix({ address, bits }: Prefix): string {
  return `${address}/${bits}`;
}

/** Length in the 128 bits of a map key, where IPv4 is kept IPv4-mapped. */
export function mappedBits({ address, bits }: Prefix): number {
  return familyOf(address) === 4 ? bits + 96 : bits;
}

export function prefixFromMapped(bytes: Uint8Array, bits: number): Prefix {
  const address = bytesToIp(bytes);
  return { address, bits: familyOf(address) === 4 ? bits - 96 : bits };
}

function hasHostBits(bytes: Uint8Array, bits: number): boolean {
  return bytes.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8));
    return (byte & (0xff >> kept)) !== 0;
  });
}
