import { decapFilterOffset, decapFilterSize } from '../abi/abi.generated.js';
import { type Ip, ipToBytes } from '../base/ip.js';

const filterBits = (decapFilterOffset.out - decapFilterOffset.in) * 8;

/** The hash of bpf/decap_maps.h. */
export function filterBit(ip: Ip): number {
  const view = new DataView(ipToBytes(ip).buffer);
  const word = (index: number) => view.getUint32(index * 4, true);
  const mixed =
    Math.imul(word(0), 0x9e3779b1) ^
    Math.imul(word(1), 0x85ebca6b) ^
    Math.imul(word(2), 0xc2b2ae35) ^
    Math.imul(word(3), 0x27d4eb2f);
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> (32 - Math.log2(filterBits));
}

/** A bit for each address whose packets the program looks at, by direction. */
export function encodeFilter(inbound: readonly Ip[], outbound: readonly Ip[]): Uint8Array {
  const bytes = new Uint8Array(decapFilterSize);
  const set = (base: number, ip: Ip) => {
    const bit = filterBit(ip);
    bytes[base + (bit >>> 3)]! |= 1 << (bit & 7);
  };
  for (const ip of inbound) set(decapFilterOffset.in, ip);
  for (const ip of outbound) set(decapFilterOffset.out, ip);
  return bytes;
}
