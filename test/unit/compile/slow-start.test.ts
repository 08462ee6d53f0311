/** A backend that comes back begins with a tenth of its weight: by time alone, and not what was never away. */
import test from 'ava';
import * as fc from 'fast-check';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled, Observed } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { rampOf, weightScale } from '../../../src/compile/slow-start.js';
import type { Listener } from '../../../src/config/desired.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck } from '../../support/desired.js';
import { holds } from '../../support/holds.js';

const slowStartMs = 60_000;

test('a ramp goes from a tenth to all in equal steps, none of them more than a twentieth, and says when the next is due', (t) => {
  holds(
    fc.property(fc.integer({ min: 1000, max: 900_000 }), fc.integer({ min: 0, max: 10 ** 9 }), (lastsMs, since) => {
      const at = (nowMs: number) =>
        rampOf('be', lastsMs, {
          health: new Map(),
          nextHops: new Map(),
          waysOut: new Map(),
          recoveredAtMs: new Map([['be', since]]),
          nowMs,
        });
      let now: number | null = since;
      const parts: number[] = [];
      while (now !== null) {
        const ramp = at(now);
        parts.push(ramp.parts);
        const linear = weightScale * (0.1 + (0.9 * (now - since)) / lastsMs);
        t.true(Math.abs(ramp.parts - linear) <= 1.001, `${ramp.parts} of ${linear}`);
        t.true(ramp.nextChangeMs === null || ramp.nextChangeMs > now);
        now = ramp.nextChangeMs;
      }
      t.deepEqual(
        parts,
        Array.from({ length: 19 }, (_, i) => i + 2),
      );
    }),
  );
});

const limits = { services: 64, pools: 16, backends: 64 };

function state(fields: Partial<Listener> = {}, weights = [100, 50, 100]) {
  const common = { port: 80, backendGroup: 'web', healthCheck: tcpCheck, slowStartMs, ...fields };
  return desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [listener(common)])],
    [
      group(
        'web',
        'L2_DSR',
        weights.map((weight, i) => backend(`be${i + 1}`, `203.0.113.${21 + i}`, weight)),
      ),
    ],
  );
}

/** `recovered`: backends by name, and how long ago. */
function observed(desired: ReturnType<typeof state>, nowMs: number, recovered: Readonly<Record<string, number>> = {}) {
  const keys = compile(desired, seen(desired), new IdLedger(limits), { tickMs: 256 }).pools[0]!.backends;
  const recoveredAtMs = new Map(
    keys.flatMap(({ backend: { name }, checkKey }): [string, number][] =>
      recovered[name] === undefined ? [] : [[checkKey, nowMs - recovered[name]]],
    ),
  );
  return { ...seen(desired), recoveredAtMs, nowMs } satisfies Observed;
}

const fresh = (desired: ReturnType<typeof state>, world: Observed): Compiled =>
  compile(desired, world, new IdLedger(limits), { tickMs: 256 });
const weights = ({ pools }: Compiled): number[] => pools[0]!.row.members.map(({ weight }) => weight);
const effective = ({ pools }: Compiled): number[] => pools[0]!.backends.map(({ effectiveWeight }) => effectiveWeight);

test('one that has just come back has a tenth, one that is half way more than half; the others keep their proportion', (t) => {
  const desired = state();
  const now = fresh(desired, observed(desired, 100_000, { be2: 0 }));
  t.deepEqual(effective(now), [100, 5, 100]);
  t.deepEqual(weights(now), [2000, 100, 2000]);
  t.is(now.pools[0]!.nextChangeMs, 100_000 + slowStartMs / 18);
  const half = fresh(desired, observed(desired, 100_000, { be2: slowStartMs / 2, be3: slowStartMs }));
  t.deepEqual(effective(half), [100, 27.5, 100]);
});

test('the data path is told, too: WLC goes by the weight of the row', (t) => {
  const desired = state({ scheduler: 'WLC' });
  const { pools } = fresh(desired, observed(desired, 100_000, { be2: 0 }));
  t.deepEqual(
    pools[0]!.backends.map(({ row }) => row.weight),
    [2000, 100, 2000],
  );
  const later = fresh(desired, observed(desired, 100_000));
  t.is(later.pools[0]!.row.recipe, pools[0]!.row.recipe, 'and no table is filled for it');
});

test('afterwards everything is as if it had never been away', (t) => {
  const desired = state();
  const [before, after] = [{}, { be2: slowStartMs }].map((recovered) =>
    fresh(desired, observed(desired, 10 ** 6, recovered)),
  );
  t.is(after!.pools[0]!.row.recipe, before!.pools[0]!.row.recipe);
  t.is(after!.pools[0]!.nextChangeMs, null);
});

test('without slow start, or with RR, whoever comes back has its share at once', (t) => {
  for (const desired of [state({ slowStartMs: 0 }), state({ scheduler: 'RR', slowStartMs: 0 })]) {
    const now = fresh(desired, observed(desired, 100_000, { be2: 0 }));
    t.is(now.pools[0]!.nextChangeMs, null);
    t.deepEqual(effective(now), [100, 50, 100]);
  }
});

test('a drained backend has no weight to come back to', (t) => {
  const desired = state({}, [100, 0, 100]);
  t.deepEqual(effective(fresh(desired, observed(desired, 100_000, { be2: 0 }))), [100, 0, 100]);
});

test('listeners with and without slow start have tables of their own', (t) => {
  const desired = state();
  const [balancer] = desired.loadBalancers;
  const listeners = [...balancer!.listeners, listener({ port: 81, backendGroup: 'web', healthCheck: tcpCheck })];
  t.is(fresh({ ...desired, loadBalancers: [{ ...balancer!, listeners }] }, seen(desired)).pools.length, 2);
});

test('as time passes, what is compiled from the result before is what is compiled from all', (t) => {
  const desired = state();
  const nothing = { healthKeys: new Set<string>(), addresses: new Set<string>() };
  const ids = new IdLedger(limits);
  const start = observed(desired, 100_000, { be2: 0 });
  let compiled = compile(desired, start, ids, { tickMs: 256 });
  let builds = 0;
  for (let nowMs = 100_000; nowMs <= 170_000; nowMs += 500) {
    const world = { ...start, nowMs };
    const next = compile(desired, world, ids, { tickMs: 256, previous: { compiled, dirty: nothing } });
    t.deepEqual(effective(next), effective(fresh(desired, world)));
    if (next.pools[0]!.row.recipe !== compiled.pools[0]!.row.recipe) builds++;
    if (next.pools[0] !== compiled.pools[0]) t.true(nowMs >= compiled.pools[0]!.nextChangeMs!);
    compiled = next;
  }
  t.is(builds, 18, 'tables filled on the way');
});
