/** Source persistence: where a client's next connection goes, for how long, and what it costs others. */
import test from 'ava';
import { SessionState } from '../../src/abi/abi.generated.js';
import { clientOf, type Flow, openWeb, type Web, type WebOptions, webDesired } from './web.js';

const minute = 60_000;
const open = (t: Parameters<typeof openWeb>[0], options: WebOptions = {}): Promise<Web> =>
  openWeb(t, { buckets: 1024, ...options, listener: { sourcePersistenceMs: 5 * minute, ...options.listener } });
const desired = (options: WebOptions) =>
  webDesired({ ...options, listener: { sourcePersistenceMs: 5 * minute, ...options.listener } });

/** Backends of connections of one client, each established. */
function connections(web: Web, flow: Flow, ports: readonly number[]): string[] {
  return ports.map((from) => {
    const went = web.send({ ...flow, from }, 'S');
    web.send({ ...flow, from }, 'A');
    return went;
  });
}
const many = Array.from({ length: 12 }, (_, i) => 40_000 + i);

for (const scheduler of ['TCH', 'SCH', 'WRR', 'RR', 'WLC'] as const) {
  test(`${scheduler}: all connections of a client go where its first one went, while clients are spread`, async (t) => {
    const web = await open(t, { listener: { scheduler } });
    for (const v6 of [false, true]) {
      const firsts = web.flows(30, { v6 }).map((flow) => {
        const went = connections(web, flow, many);
        t.is(new Set(went).size, 1, `${went}`);
        return went[0];
      });
      t.is(new Set(firsts).size, 3);
    }
  });
}

test('connections that begin together, before any is established, go one way', async (t) => {
  const web = await open(t);
  const went = many.map((from) => web.send({ from }, 'S'));
  t.is(new Set(went).size, 1);
  for (const from of many) {
    t.is(web.state({ from }), 'young', 'and each SYN leaves a session');
    t.is(web.send({ from }, 'A'), went[0]!);
  }
});

test('UDP: each flow of a client goes where its first one went', async (t) => {
  const web = await open(t);
  for (const flow of web.flows(20, { udp: true })) {
    t.is(new Set(many.map((from) => web.send({ ...flow, from }))).size, 1);
  }
});

test('a client stays when backends come and weights change', async (t) => {
  const web = await open(t);
  const flows = web.flows(60);
  const went = flows.map((flow) => connections(web, flow, [1])[0]);
  await web.set(desired({ weights: [10, 100, 100, 100, 100, 100] }));
  t.deepEqual(
    flows.map((flow) => connections(web, flow, [2])[0]),
    went,
  );
  t.true(web.flows(60, { from: 3 }).some((flow) => web.send({ ...flow, client: flow.client! + 200 }, 'S') === 'be6'));
});

test('a backend that drains gets no new connections of its clients, keeps the old ones, and they stay where they go', async (t) => {
  const web = await open(t);
  const flows = web.flows(60).filter((flow) => connections(web, flow, [1])[0] === 'be2');
  t.true(flows.length > 10);
  await web.set(desired({ weights: [100, 0, 100] }));
  for (const flow of flows) {
    t.is(web.send({ ...flow, from: 1 }), 'be2');
    const [now] = connections(web, flow, [2]);
    t.not(now, 'be2');
    web.lb.passMs(2000);
    t.is(web.send({ ...flow, from: 1 }), 'be2', 'the old connection goes on');
    t.deepEqual(connections(web, flow, [3, 4]), [now, now], 'and does not draw the client back');
  }
});

test('a backend that goes down loses its clients; they stay where they then go, even when it is back', async (t) => {
  const web = await open(t);
  const flows = web.flows(60).filter((flow) => connections(web, flow, [1])[0] === 'be2');
  await web.set(desired({}), { unresolved: ['be2'] });
  const now = flows.map((flow) => connections(web, flow, [2])[0]!);
  t.false(now.includes('be2'));
  await web.set(desired({}));
  t.deepEqual(
    flows.map((flow) => connections(web, flow, [3])[0]),
    now,
  );
});

test('a listener that goes over to another group takes its clients there', async (t) => {
  const web = await open(t);
  const flows = web.flows(40);
  for (const flow of flows) connections(web, flow, [1]);
  const old = desired({});
  const backends = old.backendGroups[0]!.backends.map((one) => ({ ...one, name: `other-${one.name}` }));
  const other = { ...old.backendGroups[0]!, name: 'other', backends };
  const [balancer] = old.loadBalancers;
  const listeners = balancer!.listeners.map((one) => (one.port === 80 ? { ...one, backendGroup: 'other' } : one));
  await web.set({ ...old, loadBalancers: [{ ...balancer!, listeners }], backendGroups: [...old.backendGroups, other] });
  const pool = web.lb.compiled!.pools.find(({ group }) => group.name === 'other')!;
  for (const flow of flows) {
    web.send({ ...flow, from: 2 }, 'S');
    t.is(web.lb.compiled!.backends.get(web.session({ ...flow, from: 2 })!.backend)!.pool, pool.id);
  }
});

test('listeners, and addresses, do not share their clients', async (t) => {
  const web = await open(t, { listener: { scheduler: 'RR' } });
  const went = [{}, { to: 443 }, { v6: true }].map((flow) => web.send(flow, 'S'));
  t.is(new Set(went).size, 3, 'each took a turn of its own');
});

test('an entry is young until a session of the client is established, and then lives as long as the listener says', async (t) => {
  const web = await open(t);
  web.send({}, 'S');
  t.is(web.source({})!.state, SessionState.SESSION_SOURCE_YOUNG);
  t.like(web.source({})!.detail, { client: clientOf(1), clientPort: 0, protocol: 6 });
  web.send({}, 'A');
  t.is(web.source({})!.state, SessionState.SESSION_SOURCE);
  web.send({ client: 2 }, 'S');
  web.lb.passMs(61_000);
  t.is((await sweep(web)).byState[SessionState.SESSION_SOURCE_YOUNG], 0, 'the unconfirmed one was forgotten');
  t.is(web.source({})!.state, SessionState.SESSION_SOURCE);
  web.lb.passMs(4 * minute);
  t.is((await sweep(web)).byState[SessionState.SESSION_SOURCE], 0);
});

async function sweep(web: Web) {
  const timeouts = new Uint16Array(65_536 * 4);
  for (const [id, { timeoutTicks }] of web.lb.compiled!.tables.services) timeouts.set(timeoutTicks, id * 4);
  return web.lb.sessions.sweep({ timeouts });
}

test('a client that has been gone for longer than that is scheduled anew, be it swept or not', async (t) => {
  const web = await open(t, { listener: { scheduler: 'RR' } });
  const [first] = connections(web, {}, [1]);
  web.lb.passMs(5 * minute - 1000);
  t.deepEqual(connections(web, {}, [2]), [first!], 'within the time');
  web.lb.passMs(5 * minute + 1000);
  t.not(connections(web, {}, [3])[0], first);
});

test('packets of an established session keep the entry alive, about once a second', async (t) => {
  const web = await open(t);
  connections(web, {}, [1]);
  for (let minutes = 0; minutes < 12; minutes++) {
    web.lb.passMs(minute);
    t.true(web.source({})!.idleTicks > 200);
    web.send({ from: 1 });
    t.is(web.source({})!.idleTicks, 0);
  }
  web.send({ from: 1 });
  web.lb.passMs(500);
  web.send({ from: 1 });
  t.true(web.source({})!.idleTicks > 0, 'not for each packet');
});

test('an entry that gave way is made again by the next session that is established', async (t) => {
  const web = await open(t);
  web.send({}, 'S');
  web.lb.sessions.clear(web.source({})!);
  const went = web.send({}, 'A');
  t.is(web.source({})!.state, SessionState.SESSION_SOURCE);
  t.is(web.lb.compiled!.backends.get(web.source({})!.backend)!.backend.name, went);
});

test('switched off, entries do not count, and the sweep takes them away', async (t) => {
  const web = await open(t, { listener: { scheduler: 'RR' } });
  for (const flow of web.flows(9)) connections(web, flow, [1]);
  await web.set(desired({ listener: { scheduler: 'RR', sourcePersistenceMs: 0 } }));
  t.is(new Set([1, 2, 3].map((from) => web.send({ client: 1, from: 1000 + from }, 'S'))).size, 3);
  const { byState, sourcesByBackend } = await sweep(web);
  t.is(byState[SessionState.SESSION_SOURCE], 0);
  t.is(Math.max(...sourcesByBackend), 0);
});

test('a flood of SYNs from forged addresses costs no established session and no confirmed client', async (t) => {
  const web = await open(t, { buckets: 1024 });
  const flows = web.flows(1200);
  for (const flow of flows) for (const flags of ['S', 'A']) web.send(flow, flags);
  const kept = flows.map((flow) => ({ flow, session: web.session(flow), source: web.source(flow) }));
  t.true(kept.filter(({ session, source }) => session && source).length > 1190, 'the table holds both of nearly all');
  for (let i = 0; i < 20_000; i++) web.send({ client: 2000 + i, from: 1024 + (i % 60_000) }, 'S');
  const { TABLE_EVICTED_OLD: old, TABLE_EVICTED_YOUNG: young } = web.lb.tableEvents();
  t.is(old, undefined);
  t.true(young! > 10_000, 'the flood pays for itself');
  for (const { flow, session, source } of kept) {
    if (session) t.is(web.session(flow)?.state, SessionState.SESSION_ESTABLISHED);
    if (source) t.is(web.source(flow)?.backend, source.backend);
  }
});
