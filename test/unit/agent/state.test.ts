/** What is observed, and since when. */
import test from 'ava';
import { ObservedState } from '../../../src/agent/state.js';

test('only what was seen to be unhealthy comes back', (t) => {
  let nowMs = 1000;
  const observed = new ObservedState(() => nowMs);
  const recovered = (): unknown => [...observed.now.recoveredAtMs!];
  observed.setHealth('a', 'healthy');
  observed.setHealth('b', 'unknown');
  observed.setHealth('b', 'healthy');
  observed.setHealth('c', 'unhealthy');
  t.deepEqual(recovered(), [], 'as at the start of an agent');
  nowMs = 2000;
  observed.setHealth('c', 'healthy');
  nowMs = 3000;
  observed.setHealth('c', 'healthy');
  t.deepEqual(recovered(), [['c', 2000]]);
  t.is(observed.now.nowMs, 3000);
  observed.setHealth('c', 'unhealthy');
  t.deepEqual(recovered(), []);
  nowMs = 4000;
  observed.setHealth('c', 'healthy');
  t.deepEqual(recovered(), [['c', 4000]], 'it begins anew');
});

test('what no configuration names any more has not been away', (t) => {
  const observed = new ObservedState(() => 0);
  observed.setHealth('a', 'unhealthy');
  observed.setHealth('a', 'healthy');
  observed.forget({ keys: ['a'] });
  observed.setHealth('a', 'healthy');
  t.is(observed.now.recoveredAtMs!.size, 0);
});
