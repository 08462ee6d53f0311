import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { AddressPool, AddressRequest } from '../config/desired.js';
import { has, hostsOf, type Range, rangeOf, toNumber, without } from './ranges.js';

/** What a pool has to give. */
export interface PoolSpace {
  readonly pool: AddressPool;
  /** Its place in the document. */
  readonly index: number;
  /** Hosts' addresses, without reserved ones. */
  readonly ranges: Readonly<Record<Family, readonly Range[]>>;
}

export function spaceOf(pool: AddressPool, index: number): PoolSpace {
  const of = (family: Family): readonly Range[] => {
    const ours = ({ address }: { address: Ip }): boolean => familyOf(address) === family;
    return without(pool.prefixes.filter(ours).map(hostsOf), pool.reserved.filter(ours).map(rangeOf));
  };
  return { pool, index, ranges: { 4: of(4), 6: of(6) } };
}

export function gives({ ranges }: PoolSpace, address: Ip): boolean {
  return has(ranges[familyOf(address)], toNumber(address));
}

/** Those that an address may come from, in the order in which they are asked. */
export function allowed(spaces: readonly PoolSpace[], request: AddressRequest): readonly PoolSpace[] {
  const { pool, scope } = request;
  return spaces.filter((space) => (pool === '' ? space.pool.scope === scope : space.pool.name === pool));
}
