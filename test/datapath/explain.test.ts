/** What explain says of a flow is what the data path then does with it: under every scheduler, by every way. */
import test from 'ava';
import type { QuicConfig } from '../../src/config/desired.js';
import { pinToCpu } from '../support/pin_cpu.js';
import { connectionId, longHeader, shortHeader } from '../support/quic.js';
import { explain } from './explain.js';
import { type Flow, openWeb, webDesired } from './web.js';

test.before(() => pinToCpu(0));

for (const [scheduler, chosenBy] of [
  ['TCH', 'maglev'],
  ['SCH', 'maglev'],
  ['WRR', 'turn'],
  ['RR', 'turn'],
  ['WLC', 'least_sessions'],
] as const) {
  test(`${scheduler}: the next SYN goes where explain says, by ${chosenBy}, and its ACK by the session`, async (t) => {
    const web = await openWeb(t, { buckets: 512, weights: [100, 40, 75], listener: { scheduler } });
    for (const v6 of [false, true]) {
      for (const flow of web.flows(60, { v6 })) {
        const told = explain(web, flow, { syn: true });
        t.is(told.chosenBy, chosenBy);
        t.is(web.send(flow, 'S'), told.backend);
        const then = explain(web, flow);
        t.is(then.chosenBy, scheduler === 'TCH' || scheduler === 'SCH' ? 'maglev' : 'session');
        t.is(web.send(flow, 'A'), then.backend);
        t.is(explain(web, flow).chosenBy, 'session');
      }
    }
  });

  test(`${scheduler}: a packet in the middle of a connection that has no session goes where explain says`, async (t) => {
    const web = await openWeb(t, { buckets: 512, weights: [100, 40, 75], listener: { scheduler } });
    for (const flow of web.flows(60)) {
      const told = explain(web, flow);
      t.is(told.chosenBy, 'maglev');
      t.is(web.send(flow, 'A'), told.backend);
    }
  });
}

test('with source persistence the next connection goes where explain says', async (t) => {
  const web = await openWeb(t, { buckets: 512, listener: { scheduler: 'RR', sourcePersistenceMs: 60_000 } });
  for (const flow of web.flows(30)) {
    t.is(explain(web, flow, { syn: true }).chosenBy, 'turn');
    const went = web.send(flow, 'S');
    const told = explain(web, { ...flow, from: 2 }, { syn: true });
    t.like(told, { chosenBy: 'persistence', backend: went });
    t.is(web.send({ ...flow, from: 2 }, 'S'), went);
  }
});

test('QCH: by the connection id; and without one that can be read, by session and hash', async (t) => {
  const config: QuicConfig = { id: 1, serverIdLength: 2, nonceLength: 14, key: Buffer.alloc(16, 5) };
  const base = webDesired({ listener: { scheduler: 'QCH', quic: [config] } });
  const [group] = base.backendGroups;
  const backends = group!.backends.map((one, i) => ({ ...one, quicServerId: Buffer.of(0x10, i) }));
  const web = await openWeb(t, { buckets: 512 });
  await web.set({ ...base, backendGroups: [{ ...group!, backends }] });
  const send = (flow: Flow, datagram: Buffer): string => {
    const went = web.lb.run(web.frame({ ...flow, udp: true }, '', datagram));
    return [...web.lb.compiled!.backends.values()].find(
      ({ nextHopMac }) => nextHopMac.replaceAll(':', '') === went.frame.toString('hex', 0, 6),
    )!.backend.name;
  };
  for (const flow of web.flows(40, { udp: true })) {
    const server = (flow.client ?? 1) % 4;
    const quicConnectionId = connectionId({ config, serverId: Buffer.of(0x10, server), nonce: Buffer.alloc(14, 9) });
    const first = explain(web, flow);
    t.is(first.chosenBy, 'maglev');
    t.is(send(flow, longHeader(Buffer.from('0123456789abcdef', 'hex'))), first.backend);
    t.like(explain(web, flow), { chosenBy: 'session', backend: first.backend });
    const told = explain(web, flow, { quicConnectionId });
    t.is(told.chosenBy, server < 3 ? 'quic' : 'session', told.steps.join('; '));
    t.is(send(flow, shortHeader(quicConnectionId)), told.backend);
  }
  t.regex(explain(web, { udp: true }, { quicConnectionId: Buffer.of(0xff) }).steps.join('\n'), /config 7/);
});
