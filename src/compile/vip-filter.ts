import { type Ip, ipToBytes } from '../base/ip.js';

export const vipFilterBits = 65536;

/** Bit of the VIP filter for an address: `may_be_vip` in bpf/lb.bpf.c. */
export function vipFilterBit(address: Uint8Array): number {
  const view = new DataView(address.buffer, address.byteOffset, 16);
  const hash =
    Math.imul(view.getUint32(0, true), 0x9e3779b1) +
    Math.imul(view.getUint32(4, true), 0x85ebca77) +
    Math.imul(view.getUint32(8, true), 0xc2b2ae3d) +
    Math.imul(view.getUint32(12, true), 0x27d4eb2f);
  return (hash >>> 0) >>> 16;
}

/** The whole filter, 8192 bytes: bit n is bit n % 64 of the little-endian 64-bit word n / 64. */
export function buildVipFilter(addresses: Iterable<Ip>): Uint8Array {
  const bytes = new Uint8Array(vipFilterBits / 8);
  for (const address of addresses) {
    const bit = vipFilterBit(ipToBytes(address));
    bytes[bit >>> 3]! |= 1 << (bit & 7);
  }
  return bytes;
}
