/** The life of a session, from the first packet to the last. Time stands still but where it passes. */
import test from 'ava';
import { desiredOf } from '../support/desired.js';
import { openWeb, type Web, webDesired } from './web.js';

const up = ['be1', 'be2', 'be3'];

/** Backends of flows that were just sent, one each. */
function spread(web: Web, flows: readonly object[], flags = 'A'): string[] {
  return flows.map((flow) => web.send(flow, flags));
}

test('TCP: a SYN leaves nothing behind, the first packet after it a young session, the second establishes it', async (t) => {
  const web = await openWeb(t);
  const backend = web.send({}, 'S');
  t.true(up.includes(backend));
  t.is(web.state({}), 'none');
  t.is(web.send({}, 'A'), backend);
  t.is(web.state({}), 'young');
  t.is(web.send({}, 'PA'), backend);
  t.is(web.state({}), 'established');
  t.is(web.send({}, 'A'), backend);
  t.is(web.state({}), 'established');
});

test('UDP: young with the first packet, established with the second', async (t) => {
  const web = await openWeb(t);
  for (const flow of [{ udp: true }, { udp: true, v6: true }]) {
    const backend = web.send(flow);
    t.is(web.state(flow), 'young');
    t.is(web.send(flow), backend);
    t.is(web.state(flow), 'established');
  }
});

test('a session remembers its client, when it began and whose it is', async (t) => {
  const web = await openWeb(t);
  for (const flow of [
    { client: 3, from: 1234 },
    { client: 3, from: 1234, v6: true },
    { client: 4, udp: true },
  ]) {
    web.send(flow);
    web.lb.pass(2);
    web.send(flow);
    const { detail, backend, service, idleTicks } = web.session(flow)!;
    t.is(detail?.client, flow.v6 ? '2001:db8:100::3' : `198.51.100.${flow.client}`);
    t.is(detail?.clientPort, flow.from ?? 40_000);
    t.is(detail?.protocol, flow.udp ? 17 : 6);
    t.is(detail?.ageTicks, 2);
    t.is(idleTicks, 0);
    t.is(service, web.lb.serviceId(flow.v6 ? '2001:db8:10::10' : '192.0.2.10', flow.udp ? 53 : 80, flow.udp ? 17 : 6));
    t.true(up.map((name) => web.lb.backendId(name)).includes(backend));
  }
});

test('FIN and RST close, and packets after them still go to the same backend', async (t) => {
  const web = await openWeb(t);
  for (const [client, flags] of [
    [1, 'FA'],
    [2, 'R'],
    [3, 'RA'],
  ] as const) {
    const backend = web.establish({ client });
    t.is(web.send({ client }, flags), backend);
    t.is(web.state({ client }), 'closing');
    t.is(web.send({ client }, 'A'), backend);
    t.is(web.state({ client }), 'closing');
  }
});

test('a FIN or RST that belongs to no session makes none', async (t) => {
  const web = await openWeb(t);
  for (const [client, flags] of [
    [1, 'FA'],
    [2, 'R'],
  ] as const) {
    t.true(up.includes(web.send({ client }, flags)));
    t.is(web.state({ client }), 'none');
  }
});

test('a SYN on a live session keeps its backend, though the table would choose another now', async (t) => {
  const web = await openWeb(t, { weights: [100] });
  t.is(web.establish({}), 'be1');
  await web.set(webDesired({ weights: [0, 100] }));
  t.is(web.send({}, 'S'), 'be1');
  t.is(web.state({}), 'established');
});

test('a SYN on a closing session is a new connection: it selects anew', async (t) => {
  const web = await openWeb(t, { weights: [100] });
  web.establish({});
  web.send({}, 'FA');
  await web.set(webDesired({ weights: [0, 100] }));
  t.is(web.send({}, 'A'), 'be1', 'the old one goes to its end');
  t.is(web.send({}, 'S'), 'be2');
  t.is(web.state({}), 'young');
  t.is(web.send({}, 'A'), 'be2');
  t.is(web.state({}), 'established');
});

test('a SYN whose backend is down selects anew', async (t) => {
  const web = await openWeb(t, { weights: [100, 0] });
  web.establish({});
  await web.set(webDesired({ weights: [100, 100] }), { unresolved: ['be1'] });
  t.is(web.send({}, 'S'), 'be2');
  t.is(web.send({}, 'A'), 'be2');
  t.deepEqual(web.lb.tableEvents(), { TABLE_INSERTED: 1, TABLE_RESELECTED: 1 });
});

test('a backend that goes down loses its sessions to the others; the sessions of the others stay', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = web.flows(300);
  const before = flows.map((flow) => web.establish(flow));
  await web.set(webDesired(), { unresolved: ['be2'] });
  const after = spread(web, flows);
  const lost = before.filter((name) => name === 'be2').length;
  t.true(lost > 60);
  before.forEach((name, i) => {
    if (name === 'be2') t.true(['be1', 'be3'].includes(after[i]!));
    else t.is(after[i], name);
  });
  t.deepEqual(spread(web, flows), after, 'and once chosen it stays');
  t.is(web.lb.tableEvents()['TABLE_RESELECTED'], lost);
  await web.set(webDesired());
  t.deepEqual(spread(web, flows), after, 'when be2 is back, it takes none of them away');
});

test('a removed backend loses its sessions in the same way', async (t) => {
  const web = await openWeb(t);
  const flows = web.flows(100);
  const before = flows.map((flow) => web.establish(flow));
  await web.set(webDesired({ weights: [100, null, 100] }));
  spread(web, flows).forEach((name, i) => {
    if (before[i] === 'be2') t.true(['be1', 'be3'].includes(name));
    else t.is(name, before[i]!);
  });
});

test('draining (weight 0) keeps sessions and gets no new ones', async (t) => {
  const web = await openWeb(t);
  const flows = web.flows(200);
  const before = flows.map((flow) => web.establish(flow));
  await web.set(webDesired({ weights: [100, 0, 100] }));
  t.deepEqual(spread(web, flows), before);
  web.lb.passMs(20_000);
  const fresh = spread(web, web.flows(400, { from: 50_000 }), 'S');
  t.false(fresh.includes('be2'));
  t.true(fresh.includes('be1') && fresh.includes('be3'));
});

test('all unhealthy: the pool opens to all, or closes, as the listener says', async (t) => {
  for (const [allUnhealthy, expected] of [
    ['FAIL_OPEN', up],
    ['FAIL_CLOSED', ['DROP']],
  ] as const) {
    const check = {
      probe: { kind: 'tcp' },
      port: 0,
      intervalMs: 1000,
      timeoutMs: 1000,
      rise: 1,
      fall: 1,
      target: 'VIP',
    } as const;
    const web = await openWeb(t);
    await web.set(webDesired({ listener: { allUnhealthy, healthCheck: check } }), { unhealthy: up });
    t.deepEqual([...new Set(spread(web, web.flows(60), 'S'))].sort(), [...expected]);
  }
});

test('sessions expire by the timeout of their own listener and state', async (t) => {
  const web = await openWeb(t, { listener: { sessionTimeoutMs: 10_000 } });
  const ticksOf10s = Math.round(10_000 / web.lb.clock.tickMs);
  const [idle, tooLong] = web.flows(2);
  web.establish(idle!);
  web.establish(tooLong!);
  web.lb.pass(ticksOf10s);
  web.send(idle!);
  t.is(web.session(idle!)?.idleTicks, 0, 'on its last tick it is refreshed');
  t.is(web.lb.tableEvents()['TABLE_RESELECTED'], undefined);
  web.lb.pass(1);
  web.send(tooLong!);
  t.is(web.state(tooLong!), 'young', 'one tick later it begins anew');
});

test('a closing session is forgotten after half a minute, a young one after a minute, whatever the listener allows', async (t) => {
  const web = await openWeb(t, { listener: { sessionTimeoutMs: 900_000 } });
  const [closing, young, established] = web.flows(3);
  web.establish(closing!);
  web.send(closing!, 'FA');
  web.send(young!);
  web.establish(established!);
  const timeouts = Uint16Array.from(
    Array.from({ length: 64 }, (_, id) => web.lb.control.read().services.get(id)?.timeoutTicks ?? [0, 0, 0, 0]).flat(),
  );
  const states = async (): Promise<string[]> => {
    await web.lb.sessions.sweep({ timeouts });
    return [closing!, young!, established!].map((flow) => web.state(flow));
  };
  web.lb.passMs(29_000);
  t.deepEqual(await states(), ['closing', 'young', 'established']);
  web.lb.passMs(2_000);
  t.deepEqual(await states(), ['none', 'young', 'established']);
  web.lb.passMs(30_000);
  t.deepEqual(await states(), ['none', 'none', 'established']);
  web.lb.passMs(841_000);
  t.deepEqual(await states(), ['none', 'none', 'none']);
});

test('sessions of a listener that is gone end within a second of its going, busy or not', async (t) => {
  const web = await openWeb(t);
  web.establish({ to: 443 });
  const desired = webDesired();
  const [balancer] = desired.loadBalancers;
  await web.set({
    ...desired,
    loadBalancers: [{ ...balancer!, listeners: balancer!.listeners.filter(({ port }) => port !== 443) }],
  });
  web.lb.passMs(1000);
  t.is(web.send({ to: 443 }), 'DROP');
  t.deepEqual(web.lb.reasons(), { DROP_NO_LISTENER: 1 });
});

test("a VIP that is taken away is the kernel's again within a second, whatever sessions it had", async (t) => {
  const web = await openWeb(t);
  web.establish({});
  await web.set(desiredOf([], []));
  t.is(web.send({ client: 2 }), 'PASS');
  web.lb.passMs(1000);
  t.is(web.send({}), 'PASS');
});

test('sessions of a stopped listener drop once they are purged', async (t) => {
  const web = await openWeb(t);
  web.establish({});
  const desired = webDesired({ listener: { stopped: true } });
  await web.set(desired);
  const purgeServices = new Uint8Array(8192);
  for (const id of web.lb.compiled!.stoppedServices) purgeServices[id >> 3]! |= 1 << (id & 7);
  const { purged } = await web.lb.sessions.sweep({ timeouts: new Uint16Array(256).fill(100), purgeServices });
  t.is(purged, 1);
  t.is(web.send({}), 'DROP');
  t.deepEqual(web.lb.reasons(), { DROP_STOPPED: 1 });
});

test('SCH: all that comes from one address goes to one backend, whatever the port', async (t) => {
  const web = await openWeb(t, { listener: { scheduler: 'SCH' } });
  for (const v6 of [false, true]) {
    const chosen = web.flows(60).map(({ client = 0 }) => {
      const backends = [1, 2, 3, 4, 5].map((n) =>
        web.send({ client, v6, from: 40_000 + n, to: n % 2 ? 80 : 443 }, 'S'),
      );
      t.is(new Set(backends).size, 1, `client ${client}`);
      return backends[0]!;
    });
    t.deepEqual([...new Set(chosen)].sort(), up);
  }
});

test('TCH: the flows of one address spread over the backends', async (t) => {
  const web = await openWeb(t);
  const ports = Array.from({ length: 60 }, (_, i) => 40_000 + i);
  t.deepEqual([...new Set(ports.map((from) => web.send({ from }, 'S')))].sort(), up);
});

test('every node of a cluster chooses alike: the same key, the same backends, the same choice', async (t) => {
  const one = await openWeb(t);
  const two = await openWeb(t, { buckets: 256 });
  for (const flow of one.flows(200)) t.is(one.send(flow, 'S'), two.send(flow, 'S'));
});
