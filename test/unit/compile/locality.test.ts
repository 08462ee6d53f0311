/** Backends of the node's own zone are preferred, and others take what these lack. */
import test from 'ava';
import * as fc from 'fast-check';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { percentOf, preferenceOf, preferenceText, type Weighed } from '../../../src/compile/locality.js';
import { fillSlots, slotCount } from '../../../src/compile/slots.js';
import { weightScale } from '../../../src/compile/slow-start.js';
import type { Backend, Desired, Listener, Locality } from '../../../src/config/desired.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

const locality: Locality = { minimumHealthyPercent: 70, otherZonesWeightPercent: 0 };

const weighed = fc
  .record({
    zone: fc.constantFrom('a', 'b', 'c', ''),
    weight: fc.integer({ min: 0, max: 100 }),
    parts: fc.oneof({ weight: 3, arbitrary: fc.constant(weightScale) }, fc.integer({ min: 2, max: weightScale })),
    fit: fc.boolean(),
  })
  .map(({ zone, ...rest }): Weighed => ({ ...rest, backend: { zone } }));
const someBackends = fc.array(weighed, { maxLength: 20 });
const anyLocality = fc.record({
  minimumHealthyPercent: fc.integer({ min: 1, max: 100 }),
  otherZonesWeightPercent: fc.integer({ min: 0, max: 100 }),
});

/** Share of new flows by what each has in force. */
function ownShare(by: Locality, all: readonly Weighed[]): { own: number; has: number; others: number; needed: number } {
  const preference = preferenceOf(by, 'a', all);
  let [own, rest, has, others, needed] = [0, 0, 0, 0, 0];
  for (const { backend: of, weight, parts, fit } of all) {
    const inForce = fit ? (weight * parts) / weightScale : 0;
    if (of.zone === 'a') {
      own += inForce;
      has += inForce;
      needed += (weight * by.minimumHealthyPercent) / 100;
    } else {
      rest += (inForce * percentOf(preference, of)) / 100;
      others += inForce;
    }
  }
  return { own: own / (own + rest), has, others, needed };
}

test("the own zone's share is all while it has what is needed, else what it has of it, and never less than its weight among all", (t) => {
  holds(
    fc.property(fc.integer({ min: 1, max: 100 }), someBackends, (minimumHealthyPercent, all) => {
      const { own, has, others, needed } = ownShare({ minimumHealthyPercent, otherZonesWeightPercent: 0 }, all);
      if (has + others === 0) return;
      const exact = needed === 0 ? 0 : Math.max(Math.min(1, has / needed), has / (has + others));
      // Whole percent of the others' weight, rounded up: they may take that much more, and nothing less.
      const least = has === 0 ? 0 : has / (has / Math.max(exact, 1e-9) + others / 100);
      t.true(own <= exact + 1e-9 && own >= least - 1e-9, `${own}, not within ${least} to ${exact}`);
    }),
    { numRuns: 2000 },
  );
});

test('no step of health moves more than it must: the share follows what the zone has without a jump', (t) => {
  const all = (has: number): Weighed[] => [
    ...Array.from({ length: 10 }, (_, i) => ({
      backend: { zone: 'a' },
      weight: 100,
      parts: Math.max(0, Math.min(weightScale, has - i * weightScale)),
      fit: has > i * weightScale,
    })),
    ...Array.from({ length: 10 }, () => ({ backend: { zone: 'b' }, weight: 100, parts: weightScale, fit: true })),
  ];
  const shares = Array.from({ length: 10 * weightScale }, (_, i) => ownShare(locality, all(i + 1)).own);
  t.true(shares[0]! < 0.02);
  t.is(shares.at(-1), 1);
  for (let i = 1; i < shares.length; i++) {
    const step = shares[i]! - shares[i - 1]!;
    t.true(step >= 0 && step < 0.025, `${step} at ${i}`);
  }
});

test('other zones have their least share in any case, never more than their weight, and never less for less health', (t) => {
  holds(
    fc.property(anyLocality, someBackends, fc.nat(), (by, all, at) => {
      const preference = preferenceOf(by, 'a', all);
      if (preference === null) {
        t.false(all.some(({ backend: { zone }, weight }) => zone === 'a' && weight > 0));
        return;
      }
      t.true(preference.otherPercent >= by.otherZonesWeightPercent && preference.otherPercent <= 100);
      t.true(Number.isInteger(preference.otherPercent));
      const own = all.flatMap((one, i) => (one.backend.zone === 'a' && one.fit ? [i] : []));
      if (own.length === 0) return;
      const index = own[at % own.length]!;
      const worse = preferenceOf(by, 'a', all.with(index, { ...all[index]!, fit: false }))!;
      t.true(worse.otherPercent >= preference.otherPercent);
    }),
  );
});

test('a node without a zone, and a zone without backends, prefer nobody', (t) => {
  const one: Weighed = { backend: { zone: 'a' }, weight: 100, parts: weightScale, fit: true };
  t.is(preferenceOf(locality, '', [one, { ...one, backend: { zone: '' } }]), null);
  t.is(preferenceOf(locality, 'b', [one]), null);
  t.is(preferenceOf(locality, 'a', [{ ...one, weight: 0 }]), null, 'one that drains is none');
});

test('in words', (t) => {
  const preference = { zone: 'a', healthy: 3, total: 4, otherPercent: 0 };
  t.is(preferenceText(preference, 'a'), 'zone a prefers its own backends: 3 of 4 healthy, and they take all');
  t.is(
    preferenceText({ ...preference, healthy: 2, otherPercent: 20 }, 'a'),
    'zone a prefers its own backends: 2 of 4 healthy, those of other zones count with 20 % of their weight',
  );
  t.is(
    preferenceText({ ...preference, healthy: 0, otherPercent: 100 }, 'a'),
    'zone a prefers its own backends: 0 of 4 healthy: those of other zones take all',
  );
  t.regex(preferenceText(null, 'b'), /zone b, which has none: all are alike/);
  t.regex(preferenceText(null, ''), /this node has no zone/);
});

const zoned = (zones: Readonly<Record<string, readonly number[]>>): Backend[] =>
  Object.entries(zones).flatMap(([zone, weights], z) =>
    weights.map((weight, i) => ({ ...backend(`${zone}${i + 1}`, `203.0.113.${10 * (z + 1) + i}`, weight), zone })),
  );
const state = (backends: readonly Backend[], fields: Partial<Listener> = {}): Desired =>
  desiredOf(
    [
      loadBalancer(
        'web',
        ['192.0.2.10'],
        [listener({ port: 80, backendGroup: 'web', healthCheck: tcpCheck, locality, ...fields })],
      ),
    ],
    [group('web', 'L2_DSR', backends)],
  );
const compiled = (desired: Desired, { zone = 'a', unhealthy = [] }: { zone?: string; unhealthy?: string[] } = {}) =>
  compile(desired, seen(desired, { unhealthy }), new IdLedger({ services: 16, pools: 16, backends: 64 }), {
    tickMs: 256,
    zone,
  });

/** Share of each backend by name in the table that the data path reads. */
function shares({ pools }: Compiled): Record<string, number> {
  const [pool] = pools;
  const slots = fillSlots(pool!.row).subarray(0, slotCount(pool!.row));
  const found: Record<string, number> = {};
  for (const id of slots) {
    const name = pool!.byId.get(id)?.backend.name ?? 'nobody';
    found[name] = (found[name] ?? 0) + 1;
  }
  for (const name of Object.keys(found)) found[name]! /= slots.length;
  return found;
}

const four = zoned({ a: [100, 100, 100, 100], b: [100, 100, 100, 100] });

test('Maglev and turns: own backends take all at 3 of 4, and 2/2.8 of it at 2 of 4', (t) => {
  for (const scheduler of ['TCH', 'SCH', 'WRR', 'RR'] as const) {
    const desired = state(four, { scheduler });
    t.deepEqual(Object.keys(shares(compiled(desired, { unhealthy: ['a1'] }))).sort(), ['a2', 'a3', 'a4'], scheduler);
    const spilt = shares(compiled(desired, { unhealthy: ['a1', 'a2'] }));
    const own = spilt['a3']! + spilt['a4']!;
    t.true(Math.abs(own - 2 / 2.8) < 0.002, `${scheduler}: ${own}`);
    t.true(Math.abs(spilt['b1']! - 0.2 / 2.8) < 0.002, `${scheduler}: ${spilt['b1']}`);
    t.deepEqual(
      Object.keys(shares(compiled(desired, { unhealthy: ['a1', 'a2', 'a3', 'a4'] }))).sort(),
      ['b1', 'b2', 'b3', 'b4'],
      scheduler,
    );
  }
});

test('WLC: whoever is in the table is compared by a weight that the zones have cut down', (t) => {
  const desired = state(four, { scheduler: 'WLC' });
  const rows = (result: Compiled) =>
    Object.fromEntries([...result.backends.values()].map(({ backend: { name }, row }) => [name, row.weight]));
  const all = compiled(desired);
  t.deepEqual(Object.keys(shares(all)).sort(), ['a1', 'a2', 'a3', 'a4']);
  const spilt = compiled(desired, { unhealthy: ['a1', 'a2'] });
  t.is(Object.keys(shares(spilt)).length, 6);
  t.like(rows(spilt), { a3: 2000, b1: 400 });
});

test('status says what each has', (t) => {
  const of = (result: Compiled) =>
    Object.fromEntries(
      [...result.backends.values()].map(({ backend: { name }, effectiveWeight }) => [name, effectiveWeight]),
    );
  t.like(of(compiled(state(four))), { a1: 100, b1: 0 });
  t.like(of(compiled(state(four), { unhealthy: ['a1', 'a2'] })), { a3: 100, b1: 20 });
  t.like(of(compiled(state(four), { zone: '' })), { a1: 100, b1: 100 });
});

test('nodes of other zones, and of none, choose otherwise; nodes of one zone alike', (t) => {
  const desired = state(four);
  t.deepEqual(Object.keys(shares(compiled(desired, { zone: 'b' }))).sort(), ['b1', 'b2', 'b3', 'b4']);
  for (const zone of ['', 'c']) {
    t.deepEqual(shares(compiled(desired, { zone })), shares(compiled(state(four, { locality: null }))), zone);
  }
});

test('where all zones are down it fails open to all of them, or closed, as without zones', (t) => {
  const unhealthy = four.map(({ name }) => name);
  const open = compiled(state(four), { unhealthy });
  t.true(open.pools[0]!.failingOpen);
  t.is(open.pools[0]!.preference, null);
  t.deepEqual(shares(open), shares(compiled(state(four, { locality: null }), { unhealthy })));
  t.deepEqual(shares(compiled(state(four, { allUnhealthy: 'FAIL_CLOSED' }), { unhealthy })), { nobody: 1 });
});

test('listeners with another locality have another pool; nobody with weight 0 ever gets anything', (t) => {
  const [balancer] = state(four).loadBalancers;
  const other = listener({ port: 81, backendGroup: 'web', healthCheck: tcpCheck });
  const groups = state(four).backendGroups;
  t.is(compiled(desiredOf([{ ...balancer!, listeners: [...balancer!.listeners, other] }], groups)).pools.length, 2);
  const backends = fc.array(
    fc.record({ zone: fc.constantFrom('a', 'b'), weight: fc.constantFrom(0, 1, 50, 100), sick: fc.boolean() }),
    { minLength: 1, maxLength: 8 },
  );
  holds(
    fc.property(
      backends,
      anyLocality,
      fc.constantFrom<Listener['scheduler']>('TCH', 'WRR', 'RR', 'WLC'),
      (all, by, scheduler) => {
        const named = all.map(({ zone, weight }, i) => ({ ...backend(`be${i}`, `203.0.113.${i + 1}`, weight), zone }));
        const unhealthy = named.filter((_, i) => all[i]!.sick).map(({ name }) => name);
        const result = compiled(state(named, { locality: by, scheduler }), { unhealthy });
        const someFit = all.some(({ weight, sick }) => weight > 0 && !sick);
        for (const name of Object.keys(shares(result))) {
          const at = named.findIndex((one) => one.name === name);
          if (at < 0) t.true(all.every(({ weight }) => weight === 0));
          else t.true(all[at]!.weight > 0 && (!all[at]!.sick || !someFit));
        }
      },
    ),
    { numRuns: 60 },
  );
});
