/** Two data planes that want the same, after different lives: what explain says, and what their programs do. */
import test, { type ExecutionContext } from 'ava';
import type { Desired, Listener } from '../../src/config/desired.js';
import { DataPath } from '../support/data_path.js';
import { backend, group, listener } from '../support/desired.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { explain } from './explain.js';
import { type Flow, Web, type WebOptions, webDesired } from './web.js';

test.before(() => pinToCpu(0));

/** Over the handover that a change begins. */
const handoverTicks = 100;
const weights = [100, 40, 75, 0, 1];

/** Every kind of flow to the three listeners on both VIPs. */
const flows: readonly Flow[] = Array.from({ length: 1000 }, (_, i) => ({
  client: 1 + (i % 250),
  from: 1024 + i * 7,
  v6: i % 3 === 0,
  ...(i % 5 === 0 ? { udp: true } : { to: i % 2 === 0 ? 80 : 443 }),
}));

function empty(t: ExecutionContext, options: WebOptions): Web {
  const lb = new DataPath(options);
  t.teardown(() => lb.close());
  return new Web(lb);
}

async function livesThrough(web: Web, states: readonly Desired[]): Promise<void> {
  for (const state of states) {
    await web.set(state);
    web.lb.pass(handoverTicks);
  }
}

/** Other listeners, groups and backends before; an order that differs from the document's at the end. */
function anotherLife(last: Desired): Desired[] {
  const [balancer] = last.loadBalancers;
  const [web] = last.backendGroups;
  const others = [7, 3, 5].map((n) => backend(`old${n}`, `203.0.113.${100 + n}`));
  const aside = group('aside', 'L2_DSR', others);
  const extra = [9000, 9001].map((port) => listener({ port, backendGroup: 'aside' }));
  const checked = balancer!.listeners.map((one): Listener => ({ ...one, allUnhealthy: 'FAIL_CLOSED' }));
  return [
    { ...last, loadBalancers: [{ ...balancer!, listeners: extra }], backendGroups: [aside, web!] },
    {
      ...last,
      loadBalancers: [{ ...balancer!, listeners: [...extra, ...checked] }],
      backendGroups: [aside, { ...web!, backends: [...others, ...web!.backends.slice(2)] }],
    },
    { ...last, loadBalancers: [{ ...balancer!, listeners: [checked[1]!, ...balancer!.listeners.slice(2)] }] },
    {
      ...last,
      loadBalancers: [{ ...balancer!, listeners: [...balancer!.listeners].reverse() }],
      backendGroups: [{ ...web!, backends: [...web!.backends].reverse() }],
    },
  ];
}

const numbers = ({ lb }: Web): string[] =>
  [...lb.compiled!.backends]
    .map(
      ([
        id,
        {
          backend: { name },
        },
      ]) => `${name}=${id}`,
    )
    .sort();

const withQuic = (state: Desired): Desired => ({
  ...state,
  loadBalancers: state.loadBalancers.map((balancer) => ({
    ...balancer,
    listeners: balancer.listeners.map((one) =>
      one.protocol === 'udp'
        ? { ...one, scheduler: 'QCH', quic: [{ id: 0, serverIdLength: 1, nonceLength: 4, key: null }] }
        : one,
    ),
  })),
  backendGroups: state.backendGroups.map((one) => ({
    ...one,
    backends: one.backends.map((each, i) => ({ ...each, quicServerId: Uint8Array.of(i) })),
  })),
});

for (const scheduler of ['TCH', 'SCH', 'QCH'] as const) {
  test(`${scheduler}: of 1,000 flows explain says the same on both, and both programs send them there`, async (t) => {
    const options = { buckets: 4096, weights, listener: scheduler === 'QCH' ? {} : { scheduler } };
    const state = webDesired(options);
    const last = scheduler === 'QCH' ? withQuic(state) : state;
    const [young, old] = [empty(t, options), empty(t, options)];
    await livesThrough(young, [last]);
    await livesThrough(old, anotherLife(last));
    t.notDeepEqual(numbers(old), numbers(young), 'or nothing was shown');
    const seen = new Set<string>();
    for (const flow of flows) {
      const told = [young, old].map((web) => explain(web, flow, { syn: true }));
      t.is(told[0]!.backend, told[1]!.backend);
      t.is(told[0]!.maglevSlot, told[1]!.maglevSlot);
      const went = [young, old].map((web) => web.send(flow, 'S'));
      t.deepEqual(went, [told[0]!.backend, told[0]!.backend]);
      seen.add(went[0]!);
    }
    t.true(seen.size >= 3, `${[...seen]}`);
  });
}

test('with WRR a flow in the middle of a connection that neither knows goes to the same; sessions and entries have the same tags', async (t) => {
  const options = { buckets: 4096, weights, listener: { scheduler: 'WRR' as const, sourcePersistenceMs: 600_000 } };
  const last = webDesired(options);
  const [young, old] = [empty(t, options), empty(t, options)];
  await livesThrough(young, [last]);
  await livesThrough(old, anotherLife(last));
  for (const flow of flows.filter(({ udp }) => !udp).slice(0, 200)) {
    t.is(explain(young, flow).backend, explain(old, flow).backend);
    young.establish(flow);
    old.establish(flow);
    t.is(young.session(flow)!.tag, old.session(flow)!.tag);
    t.is(young.source(flow)!.tag, old.source(flow)!.tag);
  }
});
