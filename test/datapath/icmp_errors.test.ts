/** ICMP errors to a VIP: they go to the backend that owns the flow that they quote. */
import test from 'ava';
import { lbMac } from '../support/data_path.js';
import { fragment6, header6 } from '../support/fragments.js';
import { ethernet, type Ip4Head, type Ip6Head, ip4, ip6, type Payload } from '../support/frame.js';
import { icmp4, icmp6, raw, tcp, udp } from '../support/transport.js';
import { endsFor } from './ends.js';
import { client6Of, clientOf, type Flow, openWeb, vip4, vip6, type Web, webDesired } from './web.js';

const router4 = '203.0.113.254';
const router6 = '2001:db8:ffff::1';

/** What the VIP answered to a flow, as a router on the way to the client would quote it. */
function answerTo(flow: Flow): Payload {
  const ports = { from: flow.to ?? (flow.udp ? 53 : 80), to: flow.from ?? 40_000 };
  return flow.udp ? udp(ports, 'an answer') : tcp({ ...ports, flags: 'A' }, 'an answer');
}

const noPseudo = (): Uint8Array => new Uint8Array(40);

function quote(flow: Flow, head: Partial<Ip4Head & Ip6Head> = {}, payload = answerTo(flow)): Buffer {
  const client = flow.client ?? 1;
  if (flow.v6) return ip6({ from: vip6, to: client6Of(client), ...head }, payload).bytes(noPseudo);
  return ip4({ from: vip4, to: clientOf(client), ...head }, payload).bytes(noPseudo);
}

/** Too big, unless said otherwise. */
function error(quoted: Buffer, options: { v6?: boolean; type?: number; code?: number } = {}): Buffer {
  const { v6 = false } = options;
  const { type = v6 ? 2 : 3, code = v6 ? 0 : 4 } = options;
  const message = Buffer.concat([Buffer.from([0, 0, 5, 0x78]), quoted]);
  const ip = v6
    ? ip6({ from: router6, to: vip6 }, icmp6(type, code, message))
    : ip4({ from: router4, to: vip4 }, icmp4(type, code, message));
  return ethernet({ to: lbMac }, ip);
}

/** Name of the backend that gets it, or why none does. */
function goesTo(web: Web, frame: Buffer): string {
  const before = web.lb.reasons();
  const { verdict, frame: out } = web.lb.run(frame);
  if (verdict === 'TX') return web.backendOf(out);
  return Object.entries(web.lb.reasons()).find(([word, count]) => count !== (before[word] ?? 0))?.[0] ?? verdict;
}

const kinds: readonly Flow[] = [{}, { udp: true }, { v6: true }, { v6: true, udp: true }];
const least = ({ v6 = false }: Flow): number => (v6 ? 48 : 28);

test('an error goes where the session goes, though the scheduler would choose another now, and quotes of 8 bytes suffice', async (t) => {
  for (const kind of kinds) {
    const web = await openWeb(t);
    const flows = web.flows(20, kind).map((flow) => ({ flow, backend: web.establish(flow) }));
    const drained = webDesired({ weights: [0, 100, 100] });
    await web.set(drained);
    for (const { flow, backend } of flows) {
      t.is(goesTo(web, error(quote(flow), flow)), backend);
      t.is(goesTo(web, error(quote(flow).subarray(0, least(flow)), flow)), backend);
    }
    t.true(flows.some(({ backend }) => backend === 'be1'));
  }
});

test('the packet goes whole, with nothing changed but the MAC addresses', async (t) => {
  const web = await openWeb(t);
  web.establish({});
  const frame = error(quote({}));
  const { frame: out } = web.lb.run(frame);
  t.deepEqual(out.subarray(12), frame.subarray(12));
});

test('without a session it goes where the scheduler sends the flow, by addresses and ports or by the address alone', async (t) => {
  for (const scheduler of ['TCH', 'SCH'] as const) {
    const web = await openWeb(t, { listener: { scheduler } });
    for (const kind of kinds) {
      for (const flow of web.flows(20, kind)) {
        t.is(goesTo(web, error(quote(flow), flow)), web.send(flow));
      }
    }
  }
});

test('it makes no session and keeps none alive, and counts as traffic', async (t) => {
  const web = await openWeb(t);
  const flow = { client: 2 };
  t.regex(goesTo(web, error(quote(flow))), /^be/);
  t.is(web.state(flow), 'none');
  const service = web.lb.counters.services(8)(web.lb.serviceId(vip4, 80));
  t.like(service, { packets: 1n, sessions: 0n, noSession: 1n });
  web.establish(flow);
  web.lb.pass(100);
  const { idleTicks } = web.session(flow)!;
  goesTo(web, error(quote(flow)));
  t.is(web.session(flow)!.idleTicks, idleTicks);
  t.is(web.state(flow), 'established');
});

test('every type of error goes, with any code', async (t) => {
  const web = await openWeb(t);
  const backend = web.establish({});
  const backend6 = web.establish({ v6: true });
  for (const code of [0, 1, 4, 13]) {
    for (const type of [3, 11, 12]) t.is(goesTo(web, error(quote({}), { type, code })), backend);
    for (const type of [1, 2, 3, 4]) t.is(goesTo(web, error(quote({ v6: true }), { v6: true, type, code })), backend6);
  }
  t.is(goesTo(web, error(quote({}), { type: 4 })), 'DROP_ICMP', 'source quench');
  t.is(goesTo(web, error(quote({}), { type: 5 })), 'DROP_ICMP', 'redirect');
});

test('quotes with options and extension headers are read', async (t) => {
  const web = await openWeb(t);
  const backend = web.establish({});
  const backend6 = web.establish({ v6: true });
  for (const words of [1, 5, 10]) t.is(goesTo(web, error(quote({}, { options: new Uint8Array(words * 4) }))), backend);
  const inner = answerTo({ v6: true });
  for (const payload of [
    header6(60, inner),
    header6(0, header6(60, inner)),
    fragment6({ offset: 0, more: true, id: 7 }, inner),
  ]) {
    t.is(goesTo(web, error(quote({ v6: true }, {}, payload), { v6: true })), backend6);
  }
});

test('a quote that is too short, of a later fragment, or no IP packet says nothing', async (t) => {
  const web = await openWeb(t);
  for (const kind of kinds) {
    web.establish(kind);
    for (let length = 0; length < least(kind); length++)
      endsFor(t, web, error(quote(kind).subarray(0, length), kind), 'DROP_ICMP_QUOTE', `${length} bytes`);
    endsFor(t, web, error(quote(kind, { version: 5 }), kind), 'DROP_ICMP_QUOTE');
  }
  endsFor(t, web, error(quote({}, { fragment: 1 })), 'DROP_ICMP_QUOTE');
  endsFor(t, web, error(quote({}, { headerWords: 4 })), 'DROP_ICMP_QUOTE');
  endsFor(t, web, error(quote({}, { headerWords: 15 })), 'DROP_ICMP_QUOTE', 'options reach beyond the quote');
  const later = fragment6({ offset: 8, more: false, id: 7 }, answerTo({ v6: true }));
  endsFor(t, web, error(quote({ v6: true }, {}, later), { v6: true }), 'DROP_ICMP_QUOTE');
  const seven = Array.from({ length: 7 }).reduce<Payload>((inner) => header6(60, inner), answerTo({ v6: true }));
  endsFor(t, web, error(quote({ v6: true }, {}, seven), { v6: true }), 'DROP_ICMP_QUOTE');
});

test('who quotes a packet of another address than the one it writes to has made it up', async (t) => {
  const web = await openWeb(t);
  web.establish({});
  for (const from of ['192.0.2.11', clientOf(1), '192.0.2.99'])
    endsFor(t, web, error(quote({}, { from })), 'DROP_ICMP_QUOTE', from);
  endsFor(t, web, error(quote({ v6: true }, { from: client6Of(1) }), { v6: true }), 'DROP_ICMP_QUOTE');
});

test('a flow that nobody here knows: no listener on the port, another protocol', async (t) => {
  const web = await openWeb(t);
  endsFor(t, web, error(quote({ to: 81 })), 'DROP_ICMP_NO_FLOW');
  endsFor(t, web, error(quote({}, {}, raw(132, Buffer.alloc(20)))), 'DROP_ICMP_NO_FLOW');
  endsFor(
    t,
    web,
    error(quote({}, {}, icmp4(0, 0, Buffer.alloc(20)))),
    'DROP_ICMP_NO_FLOW',
    'about an echo reply of ours',
  );
});

test('a stopped listener drops errors about its flows, too', async (t) => {
  const web = await openWeb(t, { listener: { stopped: true } });
  endsFor(t, web, error(quote({})), 'DROP_STOPPED');
});

test('an error too big for the tunnel is dropped, and not answered with another error', async (t) => {
  const web = await openWeb(t, { forwarding: 'IPIP' });
  await web.set(webDesired({ forwarding: 'IPIP' }), { mtu: 576 });
  const long = quote({}, {}, tcp({ from: 80, to: 40_000 }, Buffer.alloc(700)));
  endsFor(t, web, error(long), 'DROP_TOO_BIG');
  t.is(web.lb.run(error(long.subarray(0, 500))).verdict, 'TX');
});

test('about a client that the access list keeps out nothing is forwarded', async (t) => {
  const web = await openWeb(t);
  const desired = webDesired({ listener: { accessControl: { mode: 'DENY', accessList: 'out' } } });
  const entries = [{ address: clientOf(1), bits: 32 }];
  await web.set({ ...desired, accessLists: [{ name: 'out', description: '', entries }] });
  endsFor(t, web, error(quote({})), 'DROP_ACCESS_DENIED');
  t.regex(goesTo(web, error(quote({ client: 2 }))), /^be/);
});
