import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { Desired } from '../config/desired.js';
import { gives, type PoolSpace } from './pools.js';
import { toIp } from './ranges.js';

/** Who has an address by the document: a field of it. */
export interface Taker {
  readonly path: string;
  readonly what: 'VIP' | 'backend';
}

/** How far the search in one family of one pool has come: what lies behind is not free, and stays so. */
interface Search {
  range: number;
  number: bigint;
  released: number;
}

/** Which addresses are free, while they are given out. */
export class FreeAddresses {
  readonly #takers = new Map<Ip, Taker>();
  readonly #given = new Set<Ip>();
  readonly #searches = new Map<string, Search>();
  #released: readonly Ip[] = [];
  #resting: ReadonlySet<Ip> = new Set();

  constructor({ loadBalancers, backendGroups }: Desired) {
    backendGroups.forEach(({ backends }, i) => {
      backends.forEach(({ address }, j) => {
        this.#takers.set(address, new FieldOf('backend', `backendGroups[${i}].backends`, j));
      });
    });
    loadBalancers.forEach(({ addressRequest, addresses }, i) => {
      if (addressRequest !== null) return;
      addresses.forEach((address, j) => {
        this.#takers.set(address, new FieldOf('VIP', `loadBalancers[${i}].addresses`, j));
      });
    });
  }

  takerOf(address: Ip): Taker | null {
    return this.#takers.get(address) ?? null;
  }

  isFree(address: Ip): boolean {
    return !this.#given.has(address) && !this.#takers.has(address);
  }

  isGiven(address: Ip): boolean {
    return this.#given.has(address);
  }

  give(address: Ip): void {
    this.#given.add(address);
  }

  /** Those that were given up, in that order: `next` gives them last. */
  rest(released: readonly Ip[]): void {
    this.#released = released;
    this.#resting = new Set(released);
  }

  /** From the first space that has one: what was never given before what was given up. */
  next(spaces: readonly PoolSpace[], family: Family): Ip | null {
    for (const space of spaces) {
      const search = this.#searchOf(space, family);
      const address = this.#fresh(space.ranges[family], { family, search }) ?? this.#rested(space, { family, search });
      if (address !== null) return address;
    }
    return null;
  }

  #searchOf({ index }: PoolSpace, family: Family): Search {
    const key = `${index}/${family}`;
    const known = this.#searches.get(key) ?? { range: 0, number: 0n, released: 0 };
    this.#searches.set(key, known);
    return known;
  }

  #fresh(ranges: PoolSpace['ranges'][Family], { family, search }: { family: Family; search: Search }): Ip | null {
    for (; search.range < ranges.length; search.range++, search.number = 0n) {
      const { first, last } = ranges[search.range]!;
      if (search.number < first) search.number = first;
      for (; search.number <= last; search.number++) {
        const address = toIp(search.number, family);
        if (this.isFree(address) && !this.#resting.has(address)) return address;
      }
    }
    return null;
  }

  #rested(space: PoolSpace, { family, search }: { family: Family; search: Search }): Ip | null {
    for (; search.released < this.#released.length; search.released++) {
      const address = this.#released[search.released]!;
      if (familyOf(address) === family && this.isFree(address) && gives(space, address)) return address;
    }
    return null;
  }
}

/** The path is made when it is asked for: 50,000 backends show the difference. */
class FieldOf implements Taker {
  constructor(
    readonly what: Taker['what'],
    private readonly list: string,
    private readonly index: number,
  ) {}

  get path(): string {
    return `${this.list}[${this.index}]${this.what === 'backend' ? '.address' : ''}`;
  }
}
