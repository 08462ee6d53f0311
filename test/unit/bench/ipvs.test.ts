import test from 'ava';
import { asCases, type Sample } from '../../bench/ipvs/cases.js';
import { spreadOf } from '../../bench/live/spread.js';

const sample = (balancer: Sample['balancer'], round: number, pps: number, loss = 0): Sample => ({
  balancer,
  generator: 'live',
  flows: 100_000,
  round,
  pps,
  loss,
});

test('the ratio is to the faster IPVS-DR of the same round, and the median of the rounds counts', (t) => {
  const cases = asCases([
    sample('drop', 0, 1600),
    sample('ipvs-dr-rr', 0, 100),
    sample('ipvs-dr-mh', 0, 200),
    sample('spillway-l2', 0, 800),
    sample('drop', 1, 1000),
    sample('ipvs-dr-rr', 1, 100),
    sample('ipvs-dr-mh', 1, 50),
    sample('spillway-l2', 1, 600, 0.25),
  ]);
  const spillway = cases.find(({ balancer }) => balancer === 'spillway-l2')!;
  t.is(spillway.pps, 700);
  t.is(spillway.ratio, 5);
  t.is(spillway.ratioToDrop, 0.55);
  t.is(spillway.loss, 0.25);
  t.is(spillway.goal, 5);
  t.true(spillway.met);
  t.is(cases.find(({ balancer }) => balancer === 'ipvs-dr-rr')!.ratio, 0.75);
});

test('without IPVS there is no ratio, and no goal that could be met', (t) => {
  const [only] = asCases([sample('spillway-l2', 0, 800)]);
  t.is(only!.ratio, null);
  t.is(only!.ratioToDrop, null);
  t.is(only!.met, null);
});

test('the median of an even number is in the middle of the two', (t) => {
  t.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
  t.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
  t.throws(() => spreadOf([]));
});
