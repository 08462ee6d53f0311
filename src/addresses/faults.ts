import type { FieldViolation } from '../base/errors.js';
import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { AddressPool, AddressRequest, Desired, LoadBalancer } from '../config/desired.js';
import type { Taker } from './free.js';
import { allowed, type PoolSpace, spaceOf } from './pools.js';
import { has, rangeOf, sizeOf, toNumber } from './ranges.js';

/** What is wrong, in words: the field, who is concerned, how to mend it. */

interface Held {
  readonly balancer: string;
  readonly address: Ip;
}

const MOST_NAMED = 5;

/** The document gives somebody else what a LoadBalancer was given. */
export function takenFrom({ path, what }: Taker, { balancer, address }: Held): FieldViolation {
  const description =
    what === 'VIP'
      ? `${address} was given to LoadBalancer "${balancer}" from a pool: choose another VIP, or give "${balancer}" addresses of its own first`
      : `${address} is the VIP that LoadBalancer "${balancer}" was given: a backend is reached at an address of its own`;
  return { field: path, description };
}

/** Pools, or parts of them, are taken away from LoadBalancers that did not ask for another. */
export function lost(
  gone: readonly Held[],
  { before, spaces }: { before: Desired; spaces: readonly PoolSpace[] },
): FieldViolation[] {
  const faults = new Map<string, { readonly field: string; readonly why: string; readonly held: Held[] }>();
  const old = before.addressPools.map(spaceOf);
  for (const held of gone) {
    const { field, why } = reasonOf(held.address, { old, spaces });
    const fault = faults.get(`${field}\0${why}`) ?? { field, why, held: [] };
    fault.held.push(held);
    faults.set(`${field}\0${why}`, fault);
  }
  return [...faults.values()].map(({ field, why, held }) => ({
    field,
    description:
      `${why}, but ${named(held)} ${held.length === 1 ? 'has it' : 'have addresses'} from there: first give them ` +
      'another pool or addresses of their own, or delete them',
  }));
}

function reasonOf(
  address: Ip,
  { old, spaces }: { old: readonly PoolSpace[]; spaces: readonly PoolSpace[] },
): { field: string; why: string } {
  const from = old.find(({ ranges }) => has(ranges[familyOf(address)], toNumber(address)))?.pool;
  const now = spaces.find(({ pool }) => pool.name === from?.name);
  if (from === undefined || now === undefined) {
    return { field: 'addressPools', why: `pool "${from?.name ?? ''}" is left out` };
  }
  const place = `addressPools[${now.index}]`;
  const reserved = now.pool.reserved.findIndex((prefix) => isIn(address, prefix));
  if (reserved >= 0)
    return {
      field: `${place}.reserved[${reserved}]`,
      why: `${prefixText(now.pool.reserved[reserved]!)} is reserved now`,
    };
  if (has(now.ranges[familyOf(address)], toNumber(address))) {
    return { field: `${place}.scope`, why: `pool "${from.name}" is ${now.pool.scope} now` };
  }
  return { field: `${place}.prefixes`, why: `pool "${from.name}" gives ${address} no more` };
}

function isIn(address: Ip, prefix: AddressPool['prefixes'][number]): boolean {
  return familyOf(address) === familyOf(prefix.address) && has([rangeOf(prefix)], toNumber(address));
}

type Without = {
  readonly balancer: LoadBalancer & { readonly addressRequest: AddressRequest };
  readonly family: Family;
};

/** No address is left for these. */
export function exhausted(
  without: readonly Without[],
  { wanted, spaces }: { wanted: Desired; spaces: readonly PoolSpace[] },
): FieldViolation[] {
  return without.map(({ balancer, family }) => {
    const request = balancer.addressRequest;
    const field = `loadBalancers[${wanted.loadBalancers.indexOf(balancer)}].addressRequest`;
    const having = allowed(spaces, request).filter(({ ranges }) => ranges[family].length > 0);
    if (having.length === 0) return { field, description: noneHas(request, family) };
    const alike = without.filter(
      (one) => one.family === family && sourceOf(one.balancer.addressRequest) === sourceOf(request),
    );
    const pools = having.map(
      ({ pool, index, ranges }) => `${sizeOf(ranges[family])} of pool "${pool.name}" (addressPools[${index}])`,
    );
    return {
      field,
      description:
        `no free IPv${family} address for "${balancer.name}" (${alike.length} LoadBalancer${alike.length === 1 ? '' : 's'} ` +
        `without): all in use, ${pools.join(', ')}: add a prefix to addressPools[${having.at(-1)!.index}].prefixes, or ` +
        'delete LoadBalancers',
    };
  });
}

function noneHas({ pool, scope }: AddressRequest, family: Family): string {
  const whose = pool === '' ? `no ${scope} pool` : `pool "${pool}" does not`;
  return pool === ''
    ? `${whose} has IPv${family} addresses: add one to addressPools, or leave IPV${family} out of families`
    : `${whose} have IPv${family} addresses: add a prefix to it, or leave IPV${family} out of families`;
}

function sourceOf({ pool, scope }: AddressRequest): string {
  return pool === '' ? `scope ${scope}` : `pool ${pool}`;
}

function named(held: readonly Held[]): string {
  const names = held.slice(0, MOST_NAMED).map(({ balancer, address }) => `"${balancer}" (${address})`);
  const more = held.length > MOST_NAMED ? ` and ${held.length - MOST_NAMED} more` : '';
  return `LoadBalancer${held.length === 1 ? '' : 's'} ${names.join(', ')}${more}`;
}

function prefixText({ address, bits }: AddressPool['prefixes'][number]): string {
  return bits === (familyOf(address) === 4 ? 32 : 128) ? address : `${address}/${bits}`;
}
