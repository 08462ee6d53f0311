import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import { backend, desiredOf, group, listener, loadBalancer, seen } from '../../support/desired.js';

const tickMs = 1000;

function state(weight: number): Desired {
  return desiredOf(
    [loadBalancer('web', ['192.0.2.10'], [listener({ port: 80, backendGroup: 'be' })])],
    [group('be', 'L2_DSR', [backend('be1', '203.0.113.21', weight)])],
  );
}

/** In a function of its own: what a test's frame held last stays on its stack. */
function compileNext(ids: IdLedger, weight: number, last: Compiled | null): Compiled {
  const desired = state(weight);
  const dirty = { healthKeys: new Set<string>(), addresses: new Set<string>() };
  const options = last === null ? { tickMs } : { tickMs, previous: { compiled: last, dirty } };
  return compile(desired, seen(desired), ids, options);
}

test('a compile does not keep the results before it alive: each change of an agent would stay for ever', async (t) => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const ids = new IdLedger({ services: 64, pools: 64, backends: 64 });
  const results: WeakRef<Compiled>[] = [];
  let last: Compiled | null = null;
  for (let weight = 1; weight <= 5; weight++) {
    last = compileNext(ids, weight, last);
    results.push(new WeakRef(last));
  }
  // A WeakRef holds its target until the turn in which it was made has ended.
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  const alive = results.map((result) => result.deref()).filter((result) => result !== undefined);
  t.is(alive.length, 1);
  t.is(alive[0], last!);
});
