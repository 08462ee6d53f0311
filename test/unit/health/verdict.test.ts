import test from 'ava';
import fc from 'fast-check';
import type { HealthState } from '../../../src/health/types.js';
import { type Standing, weigh } from '../../../src/health/verdict.js';

const thresholds = { rise: 2, fall: 3 };

function run(results: string, start: Standing = { state: 'unknown', streak: 0 }): HealthState {
  return [...results].reduce((standing, result) => weigh(standing, result === '+', thresholds), start).state;
}

test('the first result of an unknown target decides', (t) => {
  t.is(run('+'), 'healthy');
  t.is(run('-'), 'unhealthy');
});

test('a healthy target falls after `fall` failures in a row, not before', (t) => {
  t.is(run('+--'), 'healthy');
  t.is(run('+---'), 'unhealthy');
  t.is(run('+--+--'), 'healthy');
});

test('an unhealthy target rises after `rise` passes in a row, not before', (t) => {
  t.is(run('-+'), 'unhealthy');
  t.is(run('-++'), 'healthy');
  t.is(run('-+-+'), 'unhealthy');
});

/** The state by looking back over all results, without a streak. */
function reference(results: readonly boolean[], rise: number, fall: number): HealthState {
  let state: HealthState = 'unknown';
  let since = 0;
  results.forEach((result, i) => {
    const say = result ? 'healthy' : 'unhealthy';
    const window = results.slice(since, i + 1).slice(result ? -rise : -fall);
    const enough = window.length === (result ? rise : fall) && window.every((one) => one === result);
    if (state !== say && (state === 'unknown' || enough)) {
      state = say;
      since = i + 1;
    }
  });
  return state;
}

test('any sequence of results and thresholds gives what looking back over it gives', (t) => {
  const threshold = fc.integer({ min: 1, max: 10 });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), threshold, threshold, (results, rise, fall) => {
      let standing: Standing = { state: 'unknown', streak: 0 };
      results.forEach((result, i) => {
        standing = weigh(standing, result, { rise, fall });
        if (standing.state !== reference(results.slice(0, i + 1), rise, fall)) throw new Error(`differs at ${i}`);
      });
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
