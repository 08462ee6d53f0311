/** Slow start from a change of health to the kernel's own table, through the agent's controller. */
import test from 'ava';
import { Controller } from '../../../src/agent/controller.js';
import type { Store } from '../../../src/config/store.js';
import { DataPath } from '../../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, resolved, tcpCheck } from '../../support/desired.js';
import { until } from '../../support/lab/until.js';

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
const slowStartMs = 1500;

const noDisk: Store = {
  path: '',
  load: async () => ({ saved: null, source: 'none', damaged: [] }),
  save: async () => {},
};

test('the share of a backend that comes back grows from about a tenth to its own, in at most 20 tables', async (t) => {
  const lb = new DataPath({ buckets: 16 });
  t.teardown(() => lb.close());
  let compiles = 0;
  const controller = new Controller({
    control: lb.control,
    ids: lb.ids,
    store: noDisk,
    tickMs: lb.clock.tickMs,
    zone: '',
    hearsOthers: false,
    accessListEntries: 100,
    log: quiet as never,
    now: Date.now,
    prepare: async () => {},
    onCompiled: () => compiles++,
  });
  const members = [1, 2].map((n) => backend(`be${n}`, `203.0.113.${n}`));
  const checked = listener({ port: 80, backendGroup: 'web', healthCheck: tcpCheck, slowStartMs });
  await controller.start(lb.control.read(), null);
  for (const { address } of members) controller.observed.setNextHop(address, resolved(address));
  await controller.apply(
    desiredOf([loadBalancer('web', ['192.0.2.10'], [checked])], [group('web', 'L2_DSR', members)]),
    { expectedVersion: null, validateOnly: false },
  );
  const [one, two] = controller.compiled!.pools[0]!.backends;
  const share = (): number => {
    const table = lb.control.readTable(lb.control.poolRow(controller.compiled!.pools[0]!.id)!.table);
    return table.filter((id) => id === two!.id).length / table.length;
  };
  const health = async (key: string, state: 'healthy' | 'unhealthy'): Promise<void> => {
    controller.observed.setHealth(key, state);
    controller.recompute();
    await new Promise((resolve) => setImmediate(resolve));
    await controller.exclusively(async () => {});
  };
  await health(one!.checkKey, 'healthy');
  await health(two!.checkKey, 'healthy');
  t.is(Math.round(share() * 1000), 500, 'at the start of an agent it has its share at once');
  await health(two!.checkKey, 'unhealthy');
  t.is(share(), 0);
  compiles = 0;
  const startedMs = performance.now();
  await health(two!.checkKey, 'healthy');
  const shares = [share()];
  await until('its own share', () => {
    if (share() !== shares.at(-1)) shares.push(share());
    return shares.at(-1)! >= 0.4999;
  });
  t.log(
    `${Math.round(performance.now() - startedMs)} ms: ${shares.map((part) => `${(100 * part).toFixed(1)} %`).join(', ')}`,
  );
  t.true(shares[0]! < 0.2, 'a tenth of the weight, or little more by now');
  t.deepEqual(
    shares,
    [...shares].sort((a, b) => a - b),
  );
  t.true(shares.length >= 3 && shares.length <= 20);
  t.true(performance.now() - startedMs >= slowStartMs);
  await until('nothing more is due', () => controller.compiled!.pools[0]!.nextChangeMs === null);
  t.true(compiles <= 25, `${compiles} compiles`);
  await controller.close();
});
