/** By what nodes see that they want the same. */
import test from 'ava';
import fc from 'fast-check';
import type { Desired } from '../../../src/config/desired.js';
import { configDigest } from '../../../src/config/digest.js';
import { readDocument } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import { toDocument } from '../../../src/config/write.js';
import { backend, desiredOf, group, listener, loadBalancer } from '../../support/desired.js';
import { holds } from '../../support/holds.js';
import { desired } from './arbitrary.js';

const shuffled = <T>(list: readonly T[], by: readonly number[]): T[] =>
  list
    .map((value, i) => ({ value, at: by[i % by.length]! }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);

/** The same keys the other way round, all the way down. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, one]) => [key, turned(one)]),
  );
}

test('the digest knows no order but that of pools, no objects, and no way by which the state came', (t) => {
  const orders = fc.array(fc.nat(), { minLength: 1, maxLength: 8 });
  holds(
    fc.property(desired, orders, (state, order) => {
      const digest = configDigest(state);
      const other: Desired = {
        ...state,
        loadBalancers: shuffled(state.loadBalancers, order).map((balancer) => ({
          ...balancer,
          listeners: shuffled(balancer.listeners, order),
        })),
        backendGroups: shuffled(state.backendGroups, order).map((one) => ({
          ...one,
          backends: shuffled(one.backends, order),
        })),
        accessLists: shuffled(state.accessLists, order),
      };
      t.is(configDigest(turned(other) as Desired), digest);
      t.is(configDigest(validate(readDocument(JSON.stringify(toDocument(state))))), digest);
    }),
  );
});

test('two states have the same digest only where they are the same but for order', (t) => {
  const sorted = (state: Desired): unknown => {
    const byName = <T extends { readonly name: string }>(list: readonly T[]) =>
      [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      loadBalancers: byName(state.loadBalancers).map((one) => ({ ...one, listeners: byName(one.listeners) })),
      backendGroups: byName(state.backendGroups).map((one) => ({ ...one, backends: byName(one.backends) })),
      accessLists: byName(state.accessLists),
      addressPools: state.addressPools,
    };
  };
  const known = new Map<bigint, string>();
  const text = (state: Desired): string =>
    JSON.stringify(turned(turned(sorted(state))), (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
    );
  holds(
    fc.property(desired, (state) => {
      const digest = configDigest(state);
      const before = known.get(digest);
      if (before !== undefined) t.is(before, text(state));
      known.set(digest, text(state));
    }),
    { numRuns: 500 },
  );
  t.true(known.size > 200, `${known.size} different states`);
});

const be1 = backend('be1', '203.0.113.21');
const https = listener({ port: 443, backendGroup: 'web' });
const web = loadBalancer('web', ['192.0.2.10'], [https]);
const base = desiredOf([web], [group('web', 'IPIP', [be1])]);

test('it is written down: nodes of other versions have to come to the same', (t) => {
  t.is(configDigest(base), 15_353_831_526_964_614_643n);
});

test('every field counts: a weight, a zone, an address that a pool gave, a MED of 0', (t) => {
  const changed: Desired[] = [
    { ...base, backendGroups: [group('web', 'IPIP', [{ ...be1, weight: 0 }])] },
    { ...base, backendGroups: [group('web', 'IPIP', [{ ...be1, zone: 'a' }])] },
    { ...base, backendGroups: [group('web', 'GUE', [be1])] },
    { ...base, loadBalancers: [{ ...web, addresses: ['192.0.2.11'] }] },
    { ...base, loadBalancers: [{ ...web, announcement: { ...web.announcement, med: 0 } }] },
    { ...base, loadBalancers: [{ ...web, listeners: [{ ...https, stopped: true }] }] },
    { ...base, accessLists: [{ name: 'a', entries: [], description: '' }] },
    desiredOf([], []),
  ];
  t.is(new Set([base, ...changed].map(configDigest)).size, changed.length + 1);
});

test('a new field that nobody has set changes nothing', (t) => {
  const later = { ...web, future: { list: [], text: '', number: 0, nothing: null } };
  t.is(configDigest({ ...base, loadBalancers: [later] }), configDigest(base));
});

test('after a change of one backend of 50,000 one group is read again', (t) => {
  const groups = Array.from({ length: 1000 }, (_, i) =>
    group(
      `g${i}`,
      'IPIP',
      Array.from({ length: 50 }, (_unused, j) => backend(`be${j}`, `10.${i >> 8}.${i & 255}.${j + 1}`)),
    ),
  );
  const state = desiredOf([web], groups);
  const timed = (one: Desired): { digest: bigint; ms: number } => {
    const startMs = performance.now();
    const digest = configDigest(one);
    return { digest, ms: performance.now() - startMs };
  };
  const first = timed(state);
  const weight = { ...groups[7]!, backends: groups[7]!.backends.with(3, { ...groups[7]!.backends[3]!, weight: 1 }) };
  const second = timed({ ...state, backendGroups: groups.with(7, weight) });
  t.log(`all ${first.ms.toFixed(1)} ms, one of them changed ${second.ms.toFixed(2)} ms`);
  t.not(second.digest, first.digest);
  t.true(second.ms < first.ms / 4);
});
