import { type Ip, ipToBytes, parseMac } from '../base/ip.js';

/** Rows of many backends name the same few addresses: one array each, never written to. */
class Interned {
  readonly #known = new Map<string, Uint8Array>();

  constructor(
    private readonly make: (text: string) => Uint8Array,
    private readonly most = 65_536,
  ) {}

  get(text: string): Uint8Array {
    let bytes = this.#known.get(text);
    if (bytes === undefined) {
      if (this.#known.size >= this.most) this.#known.clear();
      bytes = this.make(text);
      this.#known.set(text, bytes);
    }
    return bytes;
  }
}

const addresses = new Interned(ipToBytes);
const macs = new Interned((text) => parseMac(text) ?? new Uint8Array(6));

export const sharedAddress = (ip: Ip): Uint8Array => addresses.get(ip);
/** Six zeroes for what is no MAC. */
export const sharedMac = (mac: string): Uint8Array => macs.get(mac);
