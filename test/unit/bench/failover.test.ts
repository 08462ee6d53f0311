import test from 'ava';
import type { Mishap } from '../../bench/failover/load.js';
import { excuseOf } from '../../bench/failover/measure.js';
import { type Draw, draws } from '../../bench/failover/random.js';
import { eventNames, scenes } from '../../bench/failover/scenes.js';

const mishap: Mishap = {
  event: 'broken',
  at: 1300,
  long: true,
  why: 'ECONNRESET',
  phase: 'answer',
  address: '198.51.100.2',
  port: 40_000,
  family: 4,
  backend: 'be2',
  begun: 100,
  established: 101,
  asked: 1250,
  answered: 1050,
};
const death = { diedMs: 1000 };

test('a connection that broke is excused by its backend’s removal, not by another’s', (t) => {
  t.is(excuseOf(mishap, { deadBackends: ['be2'] }, null), 'on be2, which was taken away');
  t.is(excuseOf(mishap, { deadBackends: ['be3'] }, null), null);
});

test('a node’s silent death excuses what was established in its last 20 ms and nothing before', (t) => {
  t.not(excuseOf({ ...mishap, established: 985 }, death, 1300), null);
  for (const established of [979, 1001]) t.is(excuseOf({ ...mishap, established }, death, 1300), null);
  t.is(excuseOf({ ...mishap, established: 985 }, {}, 1300), null, 'nobody died');
});

test('new connections that fail are excused when they were begun until the routes had changed', (t) => {
  const failed = { ...mishap, event: 'failed', established: 0 } as const;
  for (const begun of [985, 1000, 1299]) t.not(excuseOf({ ...failed, begun }, death, 1300), null);
  for (const begun of [900, 1301]) t.is(excuseOf({ ...failed, begun }, death, 1300), null);
});

test('a seed draws the same events again, and another one others', (t) => {
  const first = (seed: number): readonly Draw[] => Array.from({ length: 40 }, drawing(draws(seed)));
  t.deepEqual(first(7), first(7));
  t.notDeepEqual(first(7), first(8));
  const names = new Set(first(7).map(({ scene }) => scene.acts[0]!.name));
  t.true(names.size > 8, [...names].join(' '));
});

function drawing(drawn: Generator<Draw, never>): () => Draw {
  return () => drawn.next().value;
}

test('events have names of their own', (t) => {
  t.is(new Set(eventNames).size, eventNames.length);
  t.true(scenes.every(({ acts }) => acts.length > 0));
});
