import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { AddressScope, Desired } from '../config/desired.js';
import { type PoolSpace, spaceOf } from './pools.js';
import { has, sizeOf, toNumber } from './ranges.js';

/** What a pool has, and who has it. */
export interface PoolUse {
  readonly name: string;
  readonly scope: AddressScope;
  /** Families of its prefixes. */
  readonly families: readonly FamilyUse[];
  /** In order. */
  readonly held: readonly HeldAddress[];
}

export interface FamilyUse {
  readonly family: Family;
  /** That can be given: without network, broadcast and reserved addresses. */
  readonly size: bigint;
  /** To LoadBalancers that asked. */
  readonly given: number;
  /** VIPs that the document names, and backends. */
  readonly otherwise: number;
  readonly free: bigint;
}

export interface HeldAddress {
  readonly address: Ip;
  /** LoadBalancer, or backend group and backend ("web/be1"). */
  readonly by: string;
  readonly how: 'given' | 'vip' | 'backend';
}

export function usesOf(desired: Desired): readonly PoolUse[] {
  const spaces = desired.addressPools.map(spaceOf);
  if (spaces.length === 0) return [];
  const held = spaces.map((): (HeldAddress & { number: bigint })[] => []);
  for (const one of everyHeld(desired)) {
    const family = familyOf(one.address);
    const number = toNumber(one.address);
    const index = spaces.findIndex(({ ranges }) => has(ranges[family], number));
    if (index >= 0) held[index]!.push({ ...one, number });
  }
  return spaces.map((space, i) => useOf(space, held[i]!));
}

function useOf({ pool, ranges }: PoolSpace, held: readonly (HeldAddress & { number: bigint })[]): PoolUse {
  const families = ([4, 6] as const).filter((family) =>
    pool.prefixes.some(({ address }) => familyOf(address) === family),
  );
  return {
    name: pool.name,
    scope: pool.scope,
    families: families.map((family) => {
      const ours = held.filter(({ address }) => familyOf(address) === family);
      const given = ours.filter(({ how }) => how === 'given').length;
      const size = sizeOf(ranges[family]);
      const used = new Set(ours.map(({ address }) => address)).size;
      return { family, size, given, otherwise: used - given, free: size - BigInt(used) };
    }),
    held: [...held]
      .sort((a, b) => familyOf(a.address) - familyOf(b.address) || (a.number < b.number ? -1 : 1))
      .map(({ address, by, how }) => ({ address, by, how })),
  };
}

function* everyHeld({ loadBalancers, backendGroups }: Desired): Generator<HeldAddress> {
  for (const { name, addresses, addressRequest } of loadBalancers) {
    for (const address of addresses) yield { address, by: name, how: addressRequest === null ? 'vip' : 'given' };
  }
  for (const { name, backends } of backendGroups) {
    for (const backend of backends) yield { address: backend.address, by: `${name}/${backend.name}`, how: 'backend' };
  }
}
