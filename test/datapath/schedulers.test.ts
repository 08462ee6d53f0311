/** Schedulers whose choice is no function of the packet: in turn, with and without weights, and to the least loaded. */
import test, { type ExecutionContext } from 'ava';
import { BackendFlags, backendOffset, backendSize } from '../../src/abi/abi.generated.js';
import { HANDOVER_MS } from '../../src/dataplane/tables.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { type Flow, openWeb, type Web, type WebOptions, webDesired } from './web.js';

test.before(() => pinToCpu(0));

type Open = (options?: WebOptions) => Promise<Web>;
const openFor =
  (t: ExecutionContext, scheduler: 'WRR' | 'RR' | 'WLC'): Open =>
  (options = {}) =>
    openWeb(t, { buckets: 1024, ...options, listener: { scheduler, ...options.listener } });

/** Backends of a SYN of each flow, in order. */
const syns = (web: Web, flows: readonly Flow[]): string[] => flows.map((flow) => web.send(flow, 'S'));

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort());
}

/** As between a verdict and the swap of its table. */
function setUp(web: Web, name: string, up: boolean): void {
  const rows = new Uint8Array(web.lb.maps.backends.mmap());
  for (const { id, backend } of web.lb.compiled!.backends.values()) {
    if (backend.name !== name) continue;
    const at = id * backendSize + backendOffset.flags;
    rows[at] = up ? rows[at]! | BackendFlags.BACKEND_UP : rows[at]! & ~BackendFlags.BACKEND_UP;
  }
}

test('WRR: new flows are shared out exactly by weight, and in no stretch otherwise', async (t) => {
  const web = await openFor(t, 'WRR')({ weights: [100, 50, 50] });
  const went = syns(web, web.flows(200));
  t.deepEqual(counted(went), { be1: 100, be2: 50, be3: 50 });
  for (let from = 0; from <= 196; from += 4) {
    t.deepEqual(counted(went.slice(from, from + 4)), { be1: 2, be2: 1, be3: 1 });
  }
});

test('RR: who has a weight has the same', async (t) => {
  const web = await openFor(t, 'RR')({ weights: [100, 1, 0, 37] });
  t.deepEqual(counted(syns(web, web.flows(99))), { be1: 33, be2: 33, be4: 33 });
});

for (const scheduler of ['WRR', 'RR', 'WLC'] as const) {
  test(`${scheduler}: a SYN leaves a session, so that it, its repetition and all that follows go one way`, async (t) => {
    const web = await openFor(t, scheduler)();
    for (const v6 of [false, true]) {
      for (const flow of web.flows(50, { v6 })) {
        const went = web.send(flow, 'S');
        t.is(web.state(flow), 'young');
        for (const flags of ['S', 'A', 'PA', 'A', 'FA', 'A']) t.is(web.send(flow, flags), went, flags);
      }
    }
  });

  test(`${scheduler}: a UDP flow stays where its first packet went`, async (t) => {
    const web = await openFor(t, scheduler)();
    const flows = web.flows(60, { udp: true });
    const went = flows.map((flow) => web.send(flow));
    t.deepEqual(counted(went), { be1: 20, be2: 20, be3: 20 });
    t.deepEqual(
      flows.map((flow) => web.send(flow)),
      went,
    );
  });

  test(`${scheduler}: a backend that is down is passed over; one that comes back has its share at once`, async (t) => {
    const web = await openFor(t, scheduler)({ weights: [100, 100, 100, 100] });
    setUp(web, 'be2', false);
    const { be2, ...others } = counted(syns(web, web.flows(90)));
    t.is(be2, undefined);
    for (const count of Object.values(others)) t.true(count >= 28 && count <= 32, `${count}`);
    setUp(web, 'be2', true);
    t.true(syns(web, web.flows(90, { from: 50_000 })).includes('be2'));
  });

  test(`${scheduler}: with every backend down there is no choice, without any there is no backend`, async (t) => {
    const web = await openFor(t, scheduler)();
    for (const name of ['be1', 'be2', 'be3']) setUp(web, name, false);
    t.is(web.send({}, 'S'), 'DROP');
    t.is(web.send({}, 'A'), 'DROP');
    await web.set(webDesired({ weights: [], listener: { scheduler } }));
    t.is(web.send({}, 'S'), 'DROP');
    t.is(web.send({}, 'A'), 'DROP');
    t.deepEqual(web.lb.reasons(), { DROP_BACKEND_DOWN: 2, DROP_NO_BACKEND: 2 });
  });

  test(`${scheduler}: flows that find no room stay put while the set does, and after a change until the handover ends`, async (t) => {
    const web = await openFor(t, scheduler)({ buckets: 2, weights: [100, 100, 100] });
    for (const flow of web.flows(16, { to: 443 })) web.establish(flow);
    const flows = web.flows(120, { from: 50_000 });
    const went = syns(web, flows);
    const untracked = flows.map((flow, i) => ({ flow, went: went[i]! })).filter(({ flow }) => !web.session(flow));
    t.true(untracked.length > 100, `${untracked.length}`);
    t.is(Object.keys(counted(untracked.map((one) => one.went))).length, 3, 'they are spread');
    for (const { flow, went: before } of untracked) {
      for (const flags of ['A', 'PA', 'S', 'A']) t.is(web.send(flow, flags), before);
    }
    await web.set(webDesired({ weights: [100, 100, 0], listener: { scheduler } }));
    for (const { flow, went: before } of untracked) t.is(web.send(flow, 'A'), before);
    web.lb.passMs(HANDOVER_MS + 1000);
    for (const { flow } of untracked) t.not(web.send(flow, 'A'), 'be3');
  });

  test(`a handshake that began under TCH ends where it began when the listener becomes ${scheduler}`, async (t) => {
    const web = await openWeb(t, { buckets: 1024 });
    const flows = web.flows(200);
    const went = syns(web, flows);
    await web.set(webDesired({ listener: { scheduler } }));
    t.deepEqual(
      flows.map((flow) => web.send(flow, 'A')),
      went,
    );
  });

  test(`a connection made under ${scheduler} stays where it is when the listener becomes TCH`, async (t) => {
    const web = await openFor(t, scheduler)();
    const flows = web.flows(200);
    const went = syns(web, flows);
    await web.set(webDesired());
    t.deepEqual(
      flows.map((flow) => web.send(flow, 'A')),
      went,
    );
  });
}

test('a change of one weight does not begin the turns anew', async (t) => {
  const web = await openFor(t, 'WRR')({ weights: [100, 100, 100] });
  const firsts: string[] = [];
  for (let i = 0; i < 60; i++) {
    await web.set(webDesired({ weights: [100, 100, 99 - (i % 2)], listener: { scheduler: 'WRR' } }));
    firsts.push(...syns(web, [{ from: 30_000 + i }]));
  }
  const counts = counted(firsts);
  t.log(counts);
  for (const name of ['be1', 'be2', 'be3']) t.true(counts[name]! >= 10, name);
});

test('the turn goes on over all listeners and addresses of a pool', async (t) => {
  const web = await openFor(t, 'RR')();
  const flows = web.flows(30).map((flow, i): Flow => ({ ...flow, to: i % 2 ? 80 : 443, v6: i % 3 === 0 }));
  const went = syns(web, flows);
  for (let from = 0; from < 30; from += 3) {
    t.deepEqual(counted(went.slice(from, from + 3)), { be1: 1, be2: 1, be3: 1 });
  }
});

test('listeners of one group with TCH and WRR have tables of their own, and each backend a number in both', async (t) => {
  const web = await openWeb(t);
  const desired = webDesired();
  const [balancer] = desired.loadBalancers;
  const listeners = balancer!.listeners.map((one) => ({
    ...one,
    scheduler: one.port === 443 ? ('WRR' as const) : one.scheduler,
  }));
  await web.set({ ...desired, loadBalancers: [{ ...balancer!, listeners }] });
  t.is(web.lb.compiled!.pools.length, 2);
  t.is(web.lb.compiled!.backends.size, 6);
  t.deepEqual(counted(syns(web, web.flows(30, { to: 443 }))), { be1: 10, be2: 10, be3: 10 });
  t.is(web.state({ client: 1, to: 443 }), 'young');
  web.send({ client: 1 }, 'S');
  t.is(web.state({ client: 1 }), 'none');
});

/* ---- WLC ------------------------------------------------------------------ */

/** As the agent's sweeper: what is counted is what the data path goes on from. */
async function sweep(web: Web, during: () => void = () => {}): Promise<void> {
  const settle = web.lb.control.loads.count([...web.lb.compiled!.backends.keys()]);
  const services = web.lb.maps.services.info.maxEntries;
  const { openByBackend } = await web.lb.sessions.sweep({ timeouts: new Uint16Array(services * 4).fill(0xffff) });
  during();
  settle(openByBackend);
}

const loads = (web: Web): number[] =>
  ['be1', 'be2', 'be3'].map((name) => web.lb.control.loads.of(web.lb.backendId(name)));

test('WLC: sessions are in proportion to weights', async (t) => {
  const web = await openFor(t, 'WLC')({ weights: [100, 50, 25] });
  t.deepEqual(counted(syns(web, web.flows(175))), { be1: 100, be2: 50, be3: 25 });
  t.deepEqual(loads(web), [100, 50, 25]);
});

test('WLC: what ends makes room for new flows', async (t) => {
  const web = await openFor(t, 'WLC')();
  const flows = web.flows(90);
  const went = syns(web, flows);
  const ended = flows.filter((_, i) => went[i] === 'be2');
  for (const [i, flow] of ended.entries()) for (const flags of ['A', i % 2 ? 'FA' : 'R', 'FA']) web.send(flow, flags);
  t.deepEqual(loads(web), [30, 0, 30]);
  t.deepEqual(counted(syns(web, web.flows(30, { from: 50_000 }))), { be2: 30 });
  t.deepEqual(loads(web), [30, 30, 30]);
});

test('WLC: a connection that begins anew on a closing one counts again', async (t) => {
  const web = await openFor(t, 'WLC')({ weights: [100] });
  for (const flags of ['S', 'A', 'FA', 'S']) web.send({}, flags);
  t.is(loads(await oneBackend(web))[0], 1);
});

const oneBackend = async (web: Web): Promise<Web> => {
  await web.set(webDesired({ listener: { scheduler: 'WLC' } }));
  return web;
};

test('WLC: what a sweep counts takes the place of what was believed; what is made meanwhile is not lost', async (t) => {
  const web = await openFor(t, 'WLC')();
  const flows = web.flows(90);
  const went = syns(web, flows);
  web.lb.sessions.clear(web.session(flows[went.indexOf('be3')]!)!);
  t.deepEqual(loads(web), [30, 30, 30], 'the data path does not see what the sweep takes away');
  await sweep(web);
  t.deepEqual(loads(web), [30, 30, 29]);
  await sweep(web, () => syns(web, web.flows(31, { from: 50_000 })));
  t.deepEqual(loads(web), [40, 40, 40]);
  await sweep(web);
  t.deepEqual(loads(web), [40, 40, 40]);
});

test('WLC: sessions that say good-bye do not count, nor does a client that is kept to its backend', async (t) => {
  const web = await openFor(t, 'WLC')({ listener: { sourcePersistenceMs: 60_000 } });
  for (const flow of web.flows(30)) for (const flags of ['S', 'A']) web.send(flow, flags);
  for (const flow of web.flows(3)) web.send(flow, 'FA');
  const before = loads(web);
  t.is(
    before.reduce((a, b) => a + b),
    27,
  );
  await sweep(web);
  t.deepEqual(loads(web), before);
});

test('WLC: a number that is given out anew begins without load', async (t) => {
  const web = await openFor(t, 'WLC')();
  syns(web, web.flows(90));
  const id = web.lb.backendId('be3');
  await web.set(webDesired({ weights: [100, 100], listener: { scheduler: 'WLC' } }));
  web.lb.control.freeBackend(id);
  t.is(web.lb.control.loads.of(id), 0);
});

test('WLC: of a hundred backends the least of 64 is chosen, in turn, and all come out even', async (t) => {
  const weights = Array.from({ length: 100 }, () => 100);
  const web = await openFor(t, 'WLC')({ weights, backends: 256 });
  const counts = Object.values(counted(syns(web, web.flows(250, { from: 1 }).concat(web.flows(250, { from: 2 })))));
  t.is(counts.length, 100);
  t.deepEqual([Math.min(...counts), Math.max(...counts)], [5, 5]);
});
