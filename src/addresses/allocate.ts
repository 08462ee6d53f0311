import { type FieldViolation, InvalidError } from '../base/errors.js';
import { type Family, familyOf, type Ip } from '../base/ip.js';
import type { AddressRequest, Desired, LoadBalancer } from '../config/desired.js';
import { exhausted, lost, takenFrom } from './faults.js';
import { FreeAddresses } from './free.js';
import { allowed, gives, type PoolSpace, spaceOf } from './pools.js';

/** A desired state in which every LoadBalancer has its addresses, and what must not be given out again at once. */
export interface Addressed {
  readonly desired: Desired;
  /** Addresses of pools that LoadBalancers gave up, the one given up last at the end. */
  readonly released: readonly Ip[];
}

/** A pool larger than this may forget which of its addresses were given up first; nobody waits for those. */
export const MOST_RELEASED = 4096;

type Asking = LoadBalancer & { readonly addressRequest: AddressRequest };
export type Given = Map<string, Map<Family, Ip>>;

/**
 * Pure. What a LoadBalancer has it keeps, as long as it exists by name and its pool still gives it; else it is given
 * what it names in `addresses` (those of the saved state, or of another node's document), else the lowest address that
 * was never given, else the one that was given up first. The order of the document decides nothing but which pool of
 * a scope is asked first.
 * @throws InvalidError when pools are exhausted, or when what is in use is taken away: then nothing is given.
 */
export function allocate(wanted: Desired, before: Addressed): Addressed {
  if (sameAddresses(wanted, before.desired)) return { desired: wanted, released: before.released };
  const asking = wanted.loadBalancers.filter(asks);
  if (asking.length === 0 && wanted.addressPools.length === 0) return { desired: wanted, released: [] };

  const spaces = wanted.addressPools.map(spaceOf);
  const given: Given = new Map(asking.map(({ name }) => [name, new Map()]));
  const violations: FieldViolation[] = [];
  const free = new FreeAddresses(wanted);
  keep({ wanted, asking, spaces, given, free }, before.desired, violations);
  for (const { name, addresses, addressRequest } of byName(asking)) {
    take({ given: given.get(name)!, free, addresses }, addressRequest, allowed(spaces, addressRequest));
  }
  const released = releasedOf(before, { wanted, given, spaces });
  free.rest(released);
  give({ wanted, asking, spaces, given, free }, violations);
  if (violations.length > 0) throw new InvalidError(violations);
  return {
    desired: { ...wanted, loadBalancers: wanted.loadBalancers.map((one) => filled(one, given.get(one.name))) },
    released: released.filter((address) => !free.isGiven(address)).slice(-MOST_RELEASED),
  };
}

interface Work {
  readonly wanted: Desired;
  readonly asking: readonly Asking[];
  readonly spaces: readonly PoolSpace[];
  readonly given: Given;
  readonly free: FreeAddresses;
}

/** What each has stays; what cannot stay though it was not asked to move is a violation. */
function keep({ asking, spaces, given, free }: Work, before: Desired, violations: FieldViolation[]): void {
  const had = new Map(before.loadBalancers.map((balancer) => [balancer.name, balancer]));
  const gone: { readonly balancer: string; readonly address: Ip }[] = [];
  for (const { name, addressRequest } of asking) {
    const previous = had.get(name);
    if (previous === undefined) continue;
    const may = allowed(spaces, addressRequest);
    take({ given: given.get(name)!, free, addresses: previous.addresses }, addressRequest, may);
    if (previous.addressRequest === null || !sameSource(previous.addressRequest, addressRequest)) continue;
    for (const address of previous.addresses.filter((one) => addressRequest.families.includes(familyOf(one)))) {
      if (given.get(name)!.get(familyOf(address)) === address) continue;
      const taker = free.takerOf(address);
      if (taker !== null) violations.push(takenFrom(taker, { balancer: name, address }));
      else gone.push({ balancer: name, address });
    }
  }
  violations.push(...lost(gone, { before, spaces }));
}

/** Of `addresses` those that the request asks for and its pools give. */
function take(
  { given, free, addresses }: { given: Map<Family, Ip>; free: FreeAddresses; addresses: readonly Ip[] },
  { families }: AddressRequest,
  spaces: readonly PoolSpace[],
): void {
  for (const address of addresses) {
    const family = familyOf(address);
    if (!families.includes(family) || given.has(family)) continue;
    if (!free.isFree(address) || !spaces.some((space) => gives(space, address))) continue;
    given.set(family, address);
    free.give(address);
  }
}

/** What is still missing. Who can take from one pool alone comes before who can take from several. */
function give({ wanted, asking, spaces, given, free }: Work, violations: FieldViolation[]): void {
  const without: { readonly balancer: Asking; readonly family: Family }[] = [];
  const [one, several] = [
    asking.filter((b) => b.addressRequest.pool !== ''),
    asking.filter((b) => b.addressRequest.pool === ''),
  ];
  for (const balancer of [...byName(one), ...byName(several)]) {
    const may = allowed(spaces, balancer.addressRequest);
    for (const family of balancer.addressRequest.families) {
      if (given.get(balancer.name)!.has(family)) continue;
      const address = free.next(may, family);
      if (address === null) {
        without.push({ balancer, family });
        continue;
      }
      given.get(balancer.name)!.set(family, address);
      free.give(address);
    }
  }
  // A LoadBalancer that lost its address is among them, too, and its violation says more.
  if (violations.length === 0) violations.push(...exhausted(without, { wanted, spaces }));
}

/** Given up now: at the end, in an order that the document's does not change. */
function releasedOf(
  before: Addressed,
  { wanted, given, spaces }: { wanted: Desired; given: Given; spaces: readonly PoolSpace[] },
): readonly Ip[] {
  const used = new Set(
    wanted.loadBalancers.flatMap(({ name, addresses }) => [...(given.get(name)?.values() ?? addresses)]),
  );
  const now = byName(before.desired.loadBalancers).flatMap(({ addresses }) => addresses);
  const ours = (address: Ip): boolean => !used.has(address) && spaces.some((space) => gives(space, address));
  return [...new Set([...before.released, ...now].filter(ours))];
}

function filled(balancer: LoadBalancer, given: Map<Family, Ip> | undefined): LoadBalancer {
  if (given === undefined) return balancer;
  const addresses = balancer.addressRequest!.families.map((family) => given.get(family)!);
  const same =
    addresses.length === balancer.addresses.length && addresses.every((one, i) => one === balancer.addresses[i]);
  return same ? balancer : { ...balancer, addresses };
}

function asks(balancer: LoadBalancer): balancer is Asking {
  return balancer.addressRequest !== null;
}

function sameSource(a: AddressRequest, b: AddressRequest): boolean {
  return a.pool === b.pool && (a.pool !== '' || a.scope === b.scope);
}

/** An edit that concerns no address, by far the most frequent change. */
function sameAddresses(wanted: Desired, before: Desired): boolean {
  if (wanted.loadBalancers !== before.loadBalancers || wanted.addressPools !== before.addressPools) return false;
  const known = new Set(before.backendGroups);
  const old = new Map(before.backendGroups.map((group) => [group.name, group.backends]));
  return wanted.backendGroups.every(
    (group) =>
      known.has(group) ||
      (old.get(group.name)?.length === group.backends.length &&
        group.backends.every(({ address }, i) => address === old.get(group.name)![i]!.address)),
  );
}

function byName<T extends { readonly name: string }>(list: readonly T[]): readonly T[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
}
