import { isDeepStrictEqual } from 'node:util';
import type { Ip } from '../base/ip.js';
import type { Desired, LoadBalancer } from './desired.js';
import { formatPrefix, rangeOf } from './prefix.js';
import { Unique } from './rules.js';
import { didYouMean } from './suggest.js';
import { anyAddress, familiesMissing } from './validate_address_request.js';
import type { Violations } from './violations.js';

/** Path by VIP. */
export function checkVips({ loadBalancers }: Desired, violations: Violations): ReadonlyMap<Ip, string> {
  const names = new Unique('LoadBalancer name', violations, (index) => `loadBalancers[${index}].name`);
  const vips = new Map<Ip, string>();
  loadBalancers.forEach(({ name, addresses, addressRequest }, i) => {
    if (name !== '') names.add(name, i);
    const field = addressRequest === null ? 'addresses' : 'assignedAddresses';
    addresses.forEach((address, j) => {
      const path = `loadBalancers[${i}].${field}[${j}]`;
      const earlier = vips.get(address);
      if (address === '') return;
      if (earlier === undefined) vips.set(address, path);
      else violations.add(path, `VIP ${address} is taken by ${earlier}: a VIP belongs to one LoadBalancer, once`);
    });
  });
  return vips;
}

interface Placed {
  readonly first: string;
  readonly last: string;
  readonly text: string;
  readonly path: string;
}

/** No address lies in two prefixes; said of the one that comes later in the document. */
export function checkPools({ addressPools }: Desired, violations: Violations): void {
  const names = new Unique('address pool name', violations, (index) => `addressPools[${index}].name`);
  const placed: Placed[] = [];
  addressPools.forEach(({ name, prefixes }, i) => {
    if (name !== '') names.add(name, i);
    prefixes.forEach((prefix, j) => {
      placed.push({ ...rangeOf(prefix), text: formatPrefix(prefix), path: `addressPools[${i}].prefixes[${j}]` });
    });
  });
  const order = new Map(placed.map((one, index) => [one, index]));
  // Families apart, then by address, wide before narrow: what overlaps a prefix lies within it and follows it.
  const sorted = placed.toSorted(
    (a, b) => a.first.length - b.first.length || compare(a.first, b.first) || compare(b.last, a.last),
  );
  let outer: Placed | null = null;
  for (const one of sorted) {
    if (outer === null || one.first.length !== outer.first.length || one.first > outer.last) {
      outer = one;
      continue;
    }
    const [later, earlier] = order.get(one)! > order.get(outer)! ? [one, outer] : [outer, one];
    violations.add(
      later.path,
      `${later.text} overlaps ${earlier.text} of ${earlier.path}: an address belongs to one pool, once`,
    );
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function checkRequests({ loadBalancers, addressPools }: Desired, violations: Violations): void {
  for (const [index, balancer] of loadBalancers.entries()) {
    checkRequest(balancer, { path: `loadBalancers[${index}]`, addressPools, violations });
  }
}

function checkRequest(
  { addressRequest: request }: LoadBalancer,
  { path, addressPools, violations }: { path: string; violations: Violations } & Pick<Desired, 'addressPools'>,
): void {
  if (request === null) return;
  if (request.pool !== '' && !addressPools.some(({ name }) => name === request.pool)) {
    const names = addressPools.map(({ name }) => name);
    violations.add(
      `${path}.addressRequest.pool`,
      `no address pool "${request.pool}"${didYouMean(request.pool, names)}`,
    );
    return;
  }
  const missing = familiesMissing(request, addressPools).map((family) => `IPv${family}`);
  if (missing.length === 0) return;
  const families = missing.join(' and ');
  if (request.pool !== '') {
    violations.add(`${path}.addressRequest.families`, `address pool "${request.pool}" has no ${families} prefix`);
  } else if (isDeepStrictEqual(request, anyAddress)) {
    violations.add(
      `${path}.addresses`,
      'required: at least one VIP, or an address pool of scope PUBLIC with an IPv4 prefix',
    );
  } else {
    violations.add(
      `${path}.addressRequest`,
      `no address pool of scope ${request.scope} has an ${families} prefix: add one`,
    );
  }
}
