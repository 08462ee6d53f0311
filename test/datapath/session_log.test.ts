/** What other nodes are told of, and when: the slot of a session, in the log of the CPU that saw it happen. */
import test from 'ava';
import * as abi from '../../src/abi/abi.generated.js';
import { SessionState } from '../../src/abi/abi.generated.js';
import { possibleCpus } from '../../src/dataplane/addon.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { type Flow, openWeb, type Web, webDesired } from './web.js';

test.before(() => pinToCpu(0));

const minute = 60_000;

/** Told since the last call: the state of what each entry's slot holds, and the client that it is of. */
function told(web: Web): string[] {
  const slots = new BigUint64Array(web.lb.maps.sessions.mmap());
  const details = new DataView(web.lb.maps.details.mmap());
  return web.lb.told().map((slot) => {
    const state = Number((slots[slot * 2 + 1]! >> 56n) & 0xfn);
    const { client, clientPort } = abi.readSessionDetail(details, slot * abi.sessionDetailSize);
    const word = Object.entries(SessionState).find(([, value]) => value === state)![0];
    return `${word.replace('SESSION_', '').toLowerCase()} ${client[15]}:${clientPort}`;
  });
}

test('TCP: the packet after the SYN, the one that establishes, and the FIN are told, and nothing between', async (t) => {
  const web = await openWeb(t);
  web.send({}, 'S');
  t.deepEqual(told(web), [], 'a SYN leaves no session');
  web.send({}, 'A');
  t.deepEqual(told(web), ['young 1:40000']);
  web.send({}, 'PA');
  t.deepEqual(told(web), ['established 1:40000']);
  for (let i = 0; i < 50; i++) web.send({}, 'PA');
  web.lb.pass(8);
  web.send({}, 'PA');
  t.deepEqual(told(web), [], 'nor is when it was last seen');
  web.send({}, 'FA');
  t.deepEqual(told(web), ['closing 1:40000']);
  web.send({}, 'A');
  web.send({}, 'FA');
  t.deepEqual(told(web), []);
});

test('UDP: nothing is told of one packet, and the second establishes', async (t) => {
  const web = await openWeb(t);
  for (const v6 of [false, true]) {
    const flow = { udp: true, v6 };
    web.send(flow);
    t.deepEqual(told(web), []);
    web.send(flow);
    t.deepEqual(told(web), ['established 1:40000']);
    web.send(flow);
    t.deepEqual(told(web), []);
  }
});

test('a flood of SYNs to a listener that keeps them tells nothing; the handshake that completes is told', async (t) => {
  const web = await openWeb(t, { listener: { scheduler: 'WRR' } });
  for (const flow of web.flows(60)) web.send(flow, 'S');
  t.deepEqual(told(web), []);
  web.send({ client: 7 }, 'A');
  t.deepEqual(told(web), ['established 7:40000']);
});

test('a session that selects another backend is told, and not one that finds none', async (t) => {
  const web = await openWeb(t);
  const went = web.establish({});
  told(web);
  const desired = webDesired({ weights: ['be1', 'be2', 'be3'].map((name) => (name === went ? null : 100)) });
  await web.set(desired);
  t.not(web.send({}, 'PA'), went);
  t.deepEqual(told(web), ['young 1:40000']);
  web.send({}, 'PA');
  t.deepEqual(told(web), ['established 1:40000']);
});

test('UDP: a session whose backend has gone is told with the packet that selects another', async (t) => {
  const web = await openWeb(t);
  const flow = { udp: true };
  const went = web.establish(flow);
  told(web);
  await web.set(webDesired({ weights: ['be1', 'be2', 'be3'].map((name) => (name === went ? null : 100)) }));
  web.send(flow);
  t.deepEqual(told(web), ['young 1:40000'], 'or other nodes would go on sending to the old one');
});

test('a new connection over one that closed is told once its handshake is complete', async (t) => {
  const web = await openWeb(t, { listener: { scheduler: 'TCH' } });
  web.establish({});
  web.send({}, 'FA');
  told(web);
  web.send({}, 'S');
  t.deepEqual(told(web), [], 'the same backend: nothing new');
  web.send({}, 'A');
  t.deepEqual(told(web), ['established 1:40000']);
});

test('RST closes, and is told', async (t) => {
  const web = await openWeb(t);
  web.establish({});
  told(web);
  web.send({}, 'R');
  t.deepEqual(told(web), ['closing 1:40000']);
});

test('a client of a persistent listener is told of with its first established session, once', async (t) => {
  const web = await openWeb(t, { buckets: 1024, listener: { sourcePersistenceMs: 5 * minute } });
  web.send({}, 'S');
  t.deepEqual(told(web), [], 'a forged SYN is not');
  web.send({}, 'A');
  t.deepEqual(told(web).sort(), ['established 1:40000', 'source 1:0']);
  web.lb.pass(8);
  web.send({}, 'A');
  t.deepEqual(told(web), [], 'kept alive by its session');
  web.send({ from: 2 }, 'S');
  web.send({ from: 2 }, 'A');
  t.deepEqual(told(web), ['established 1:2']);
});

test('a client whose backend has gone is told of when it goes elsewhere', async (t) => {
  const listener = { sourcePersistenceMs: 5 * minute };
  const web = await openWeb(t, { buckets: 1024, listener });
  const went = web.send({}, 'S');
  web.send({}, 'A');
  told(web);
  const weights = ['be1', 'be2', 'be3'].map((name) => (name === went ? null : 100));
  await web.set(webDesired({ listener, weights }));
  web.send({ from: 2 }, 'S');
  t.deepEqual(told(web), ['source 1:0']);
});

test('an ICMP error and a packet of a flow that finds no room tell nothing', async (t) => {
  const web = await openWeb(t, { buckets: 2 });
  const flows = web.flows(8);
  for (const flow of flows) web.establish(flow);
  t.is(told(web).length, 16);
  web.send({ client: 99 }, 'A');
  t.is(web.state({ client: 99 }), 'none');
  t.deepEqual(told(web), []);
});

test('a log that nobody reads is written over, and its entries say so', async (t) => {
  const web = await openWeb(t, { buckets: 8192 });
  const entries = (abi.sessionLogSize - abi.sessionLogOffset.entries) / 8;
  const flow = (i: number): Flow => ({ client: 1 + (i >> 12), from: 1 + (i & 0xfff) });
  const count = entries / 2 + 10;
  for (let i = 0; i < count; i++) web.establish(flow(i));
  const view = new DataView(web.lb.maps.session_log.mmap());
  t.is(Number(view.getBigUint64(abi.sessionLogOffset.head, true)), count * 2);
  t.throws(() => web.lb.told(), { message: `entry 0 says that it is number ${entries}` });
});

test('each CPU has a log of its own', async (t) => {
  const web = await openWeb(t);
  t.is(web.lb.maps.session_log.info.maxEntries, possibleCpus());
  pinToCpu(possibleCpus() - 1);
  web.establish({});
  pinToCpu(0);
  web.establish({ client: 2 });
  const flow = (client: number): string[] => Array(2).fill(`established ${client}:40000`);
  t.deepEqual(told(web), possibleCpus() === 1 ? [...flow(1), ...flow(2)] : [...flow(2), ...flow(1)]);
});
