import { type Family, familyOf, type Ip, ipToPlainBytes } from '../base/ip.js';

export interface Prefix {
  readonly family: Family;
  /** Null: the default route. */
  readonly destination: Ip | null;
  readonly prefixBits: number;
}

/** More changed prefixes than this between two looks: every address of the families is taken as affected. */
const MANY = 64;

/** Collects changes of the routes, then says whose lookup they may have changed. */
export class RouteChanges {
  #prefixes: { readonly family: Family; readonly bytes: Uint8Array; readonly bits: number }[] = [];
  readonly #families = new Set<Family>();

  get any(): boolean {
    return this.#families.size > 0 || this.#prefixes.length > 0;
  }

  addPrefix({ family, destination, prefixBits }: Prefix): void {
    if (destination === null || prefixBits === 0 || this.#prefixes.length >= MANY) this.addFamily(family);
    else if (!this.#families.has(family)) {
      this.#prefixes.push({ family, bytes: ipToPlainBytes(destination), bits: prefixBits });
    }
  }

  addFamily(family: Family): void {
    this.#families.add(family);
    this.#prefixes = this.#prefixes.filter((prefix) => prefix.family !== family);
  }

  /** Those of `addresses` that a change concerns; what was collected is forgotten. */
  take(addresses: Iterable<Ip>): readonly Ip[] {
    const affected: Ip[] = [];
    for (const address of addresses) if (this.#concerns(address)) affected.push(address);
    this.#prefixes = [];
    this.#families.clear();
    return affected;
  }

  #concerns(address: Ip): boolean {
    const family = familyOf(address);
    if (this.#families.has(family)) return true;
    if (this.#prefixes.length === 0) return false;
    const bytes = ipToPlainBytes(address);
    return this.#prefixes.some((prefix) => prefix.family === family && hasPrefix(bytes, prefix.bytes, prefix.bits));
  }
}

export function hasPrefix(address: Uint8Array, prefix: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((address[whole]! ^ prefix[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}
