import test from 'ava';
import * as fc from 'fast-check';
import { type Case, faultsOf } from '../../bench/flood/cases.js';
import { flowOf, inverse, lostSince, shuffled } from '../../bench/flood/table.js';
import { holds } from '../../support/holds.js';

test('a flow is known again by its address and port, as the driver makes them', (t) => {
  holds(
    fc.property(fc.integer({ min: 0, max: 2 ** 24 - 1 }), (flow) => {
      const hash = Math.imul(flow, 0x9e3779b1) >>> 0;
      t.is(flowOf(hash & 0xff_ffff, 0x8000 | (hash >>> 17)), flow);
    }),
  );
  t.is(Math.imul(inverse(0x9e3779b1), 0x9e3779b1) >>> 0, 1);
});

test('what was there before and is not, is evicted; what names another backend, moved; what is new does not count', (t) => {
  const at = (entries: readonly (readonly [bigint, number])[]) => ({ slots: 8, established: new Map(entries) });
  const before = at([
    [1n, 10],
    [2n, 20],
    [3n, 30],
  ]);
  const after = at([
    [1n, 10],
    [3n, 31],
    [4n, 40],
  ]);
  t.deepEqual(lostSince(before, after), { evicted: 1, moved: 1 });
  t.deepEqual(lostSince(before, before), { evicted: 0, moved: 0 });
});

test('shuffling loses nothing, and is the same each time', (t) => {
  const values = Uint32Array.from({ length: 1000 }, (_, i) => i);
  t.notDeepEqual(shuffled(values), values);
  t.deepEqual(shuffled(values), shuffled(values));
  t.deepEqual(shuffled(values).sort(), values);
});

const good: Case = {
  scheduler: 'TCH',
  slots: 1000,
  established: 1000,
  seconds: 30,
  attemptedPerSecond: 5e6,
  attemptedPerCoreSecond: 3e6,
  attempted: {},
  evicted: 0,
  moved: 0,
  notForwarded: 0,
  before: { median: 1, p10: 1, p90: 1 },
  during: { median: 1, p10: 1, p90: 1 },
  after: { median: 1, p10: 1, p90: 1 },
  ratio: 1,
  events: {},
};

test('a case is at fault when the table was not full, or an established session was lost', (t) => {
  t.deepEqual(faultsOf(good), []);
  t.regex(faultsOf({ ...good, established: 900 })[0]!, /only 90.0 %/);
  t.regex(faultsOf({ ...good, evicted: 1 })[0]!, /1 established sessions were evicted/);
  t.regex(faultsOf({ ...good, moved: 2 })[0]!, /another backend/);
  t.regex(faultsOf({ ...good, notForwarded: 3 })[0]!, /not forwarded/);
  t.regex(faultsOf({ ...good, events: { table_evicted_old: 4 } })[0]!, /the table counts/);
});
