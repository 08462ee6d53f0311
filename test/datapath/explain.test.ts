/** What `explain` foretells of flows without a session, against what the data path then does. */
import test from 'ava';
import { chooseBackend } from '../../src/agent/explain-choice.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { type Flow, openWeb, vip4, vip6, type Web, webDesired } from './web.js';

test.before(() => pinToCpu(0));

function foretold(web: Web, flow: Flow, flags: string): { backend: string; by: string; steps: readonly string[] } {
  const { lb } = web;
  const { tables, services, backends } = lb.compiled!;
  const addresses = web.addresses(flow);
  const nameOf = (id: number): string => backends.get(id)?.backend.name ?? 'none';
  const steps: string[] = [];
  const id = lb.serviceId(flow.v6 ? vip6 : vip4, addresses.destinationPort, addresses.protocol);
  const question = { service: services.get(id)!, addresses, tag: web.tag(flow), syn: flags === 'S', applied: tables };
  const { control, sessions: table, key } = lb;
  const choice = chooseBackend({ ...question, control, table, key, nameOf }, steps);
  return { backend: nameOf(choice.backend), by: choice.chosenBy, steps };
}

const orders = { TCH: 'maglev', SCH: 'maglev', WRR: 'turn', RR: 'turn', WLC: 'least_sessions' } as const;

for (const [scheduler, by] of Object.entries(orders)) {
  test(`${scheduler}: a flow goes where it was foretold, by SYN, in its middle and as datagram`, async (t) => {
    const listener = { scheduler: scheduler as keyof typeof orders };
    const web = await openWeb(t, { buckets: 1024, weights: [100, 50, 20], listener });
    for (const v6 of [false, true]) {
      for (const [i, flow] of web.flows(60, { v6 }).entries()) {
        const flags = i % 3 === 0 ? 'A' : 'S';
        const one = { ...flow, udp: i % 3 === 1 };
        const { backend, by: said } = foretold(web, one, flags);
        t.is(web.send(one, flags), backend, `${JSON.stringify(one)} ${flags}`);
        t.is(said, i % 3 === 0 ? 'maglev' : by);
      }
    }
  });
}

test('while a table is handed over, a connection in its middle is foretold to go by the one before', async (t) => {
  for (const scheduler of ['TCH', 'WRR'] as const) {
    const web = await openWeb(t, { buckets: 1024, listener: { scheduler } });
    await web.set(webDesired({ weights: [100, 100, 100, 100, 100, 100], listener: { scheduler } }));
    for (const flow of web.flows(40)) t.is(foretold(web, flow, 'A').backend, web.send(flow, 'A'), scheduler);
  }
});

test('source persistence: the next connection is foretold to go where the last went, unless that backend drains', async (t) => {
  const listener = { scheduler: 'RR', sourcePersistenceMs: 60_000 } as const;
  const web = await openWeb(t, { buckets: 1024, listener });
  t.is(foretold(web, {}, 'S').by, 'turn');
  const went = web.send({}, 'S');
  web.send({}, 'A');
  t.like(foretold(web, { from: 50_000 }, 'S'), { backend: went, by: 'persistence' });
  t.is(web.send({ from: 50_000 }, 'S'), went);
  const weights = ['be1', 'be2', 'be3'].map((name) => (name === went ? 0 : 100));
  await web.set(webDesired({ weights, listener }));
  const next = foretold(web, { from: 50_001 }, 'S');
  t.is(next.by, 'turn');
  t.regex(next.steps.join('; '), new RegExp(`went to backend ${went}, which takes no new ones`));
  t.is(web.send({ from: 50_001 }, 'S'), next.backend);
});
