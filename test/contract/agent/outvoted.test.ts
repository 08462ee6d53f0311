/** A backend that other nodes see healthy, over a restart of this agent: from the kernel's rows, on real maps. */
import test from 'ava';
import { BackendFlags } from '../../../src/abi/abi.generated.js';
import { Controller } from '../../../src/agent/controller.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import type { Store } from '../../../src/config/store.js';
import { DataPath } from '../../support/data_path.js';
import { backend, desiredOf, group, listener, loadBalancer, resolved, tcpCheck } from '../../support/desired.js';

const quiet = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
const noDisk: Store = {
  path: '',
  load: async () => ({ saved: null, source: 'none', damaged: [] }),
  save: async () => {},
};
const members = [1, 2].map((n) => backend(`be${n}`, `203.0.113.${n}`));
const desired: Desired = desiredOf(
  [loadBalancer('web', ['192.0.2.10'], [listener({ port: 80, backendGroup: 'web', healthCheck: tcpCheck })])],
  [group('web', 'L2_DSR', members)],
);

function agentOn(lb: DataPath, { hearsOthers }: { hearsOthers: boolean }): Controller {
  const ids = new IdLedger({ services: 16, pools: 16, backends: 64 });
  const { services, pools, backends } = lb.control.read();
  for (const [id, { identity }] of services) ids.services.adopt(identity, id);
  for (const [id, { identity }] of pools) ids.pools.adopt(identity, id);
  for (const [id, { identity }] of backends) ids.backends.adopt(identity, id);
  const controller = new Controller({
    control: lb.control,
    ids,
    store: noDisk,
    tickMs: lb.clock.tickMs,
    zone: '',
    hearsOthers,
    accessListEntries: 100,
    log: quiet as never,
    now: Date.now,
    prepare: async () => {},
    onCompiled: () => {},
  });
  for (const { address } of members) controller.observed.setNextHop(address, resolved(address));
  return controller;
}

for (const file of ['with', 'without'] as const) {
  test(`${file} the file of health records, what the others outvoted keeps its traffic when the agent starts again`, async (t) => {
    const lb = new DataPath({ buckets: 16 });
    t.teardown(() => lb.close());
    const before = agentOn(lb, { hearsOthers: true });
    await before.start(lb.control.read(), null);
    await before.apply(desired, { expectedVersion: null, validateOnly: false });
    const keys = [...before.compiled!.backends.values()].map(({ checkKey }) => checkKey);
    before.observed.setHealth(keys[0]!, 'unhealthy', 'healthy');
    before.observed.setHealth(keys[1]!, 'healthy');
    before.recompute();
    await new Promise((resolve) => setImmediate(resolve));
    await before.exclusively(async () => {});
    const isUp = (): boolean[] =>
      [...lb.control.read().backends.values()].map(({ flags }) => (flags & BackendFlags.BACKEND_UP) !== 0);
    t.deepEqual(isUp(), [true, true]);
    await before.close();

    const saved = { desired, version: 1, appliedAtMs: 1, released: [] };
    const started = async (hearsOthers: boolean): Promise<Controller> => {
      const agent = agentOn(lb, { hearsOthers });
      if (file === 'with') {
        agent.observed.setHealth(keys[0]!, 'unhealthy');
        agent.observed.setHealth(keys[1]!, 'healthy');
      }
      await agent.start(lb.control.read(), saved);
      await agent.close();
      return agent;
    };
    const again = await started(true);
    t.deepEqual(isUp(), [true, true]);
    t.deepEqual([again.observed.healthOf(keys[0]!), again.observed.ownHealthOf(keys[0]!)], ['healthy', 'unhealthy']);
    await started(false);
    t.deepEqual(isUp(), [false, true], 'without a cluster its own word counts');
  });
}
