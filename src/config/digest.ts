import { createHash } from 'node:crypto';
import type { AccessList, AddressPool, Backend, BackendGroup, Desired, LoadBalancer } from './desired.js';

/**
 * 64 bits, never 0, of what is wanted: equal on nodes that want the same, however they came to it. It takes in the
 * addresses that pools gave, and neither the version nor any order that means nothing: of resources, of listeners, of
 * backends, of keys. What is unset or zero leaves no trace, so that a later version's new fields, while nobody sets
 * them, do not set its nodes apart.
 *
 * Resources are immutable and shared between states: after one changed weight of 50,000 one group is read again.
 */
export function configDigest({ loadBalancers, backendGroups, accessLists, addressPools }: Desired): bigint {
  let sum = 0n;
  for (const one of loadBalancers) sum += ofBalancer(one);
  for (const one of backendGroups) sum += ofGroup(one);
  for (const one of accessLists) sum += ofList(one);
  // Which pool of a scope is asked first is said by their order.
  if (addressPools.length > 0) sum += digestOf('pools', addressPools.map((pool) => ofPool(pool)).join());
  return BigInt.asUintN(64, sum) || 1n;
}

const ofBalancer = remembered('balancer', ({ listeners, announcement, ...rest }: LoadBalancer) => {
  // A MED of 0 is another one than none.
  const { med, ...others } = announcement;
  const own = textOf({ ...rest, announcement: { ...others, med: med === null ? '' : String(med) } });
  return [own, ...listeners.map(textOf).sort()].join('\n');
});
const ofGroup = remembered('group', ({ backends, ...rest }: BackendGroup) =>
  [textOf(rest), ...backends.map(backendText).sort()].join('\n'),
);
const ofList = remembered('list', textOf<AccessList>);
const ofPool = remembered('pool', textOf<AddressPool>);

function remembered<T extends object>(kind: string, text: (resource: T) => string): (resource: T) => bigint {
  const known = new WeakMap<T, bigint>();
  return (resource) => {
    const before = known.get(resource);
    if (before !== undefined) return before;
    const digest = digestOf(kind, text(resource));
    known.set(resource, digest);
    return digest;
  };
}

function digestOf(kind: string, text: string): bigint {
  return createHash('sha256').update(`${kind}\n${text}`).digest().readBigUInt64LE(0);
}

/** As textOf, ten times as fast: there are tens of thousands. Its family follows from its address. */
function backendText({ name, address, port, weight, zone, quicServerId }: Backend): string {
  const id = quicServerId.length === 0 ? '' : Buffer.from(quicServerId).toString('hex');
  return JSON.stringify([name, address, port, weight, zone, id]);
}

/** JSON with keys in order, without what is unset. */
function textOf<T>(value: T): string {
  return JSON.stringify(plain(value)) ?? '';
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length === 0 ? undefined : Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((one) => plain(one) ?? null);
  if (typeof value !== 'object' || value === null) return value || undefined;
  const entries = Object.entries(value)
    .map(([key, one]) => [key, plain(one)] as const)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
