/** Datagrams in fragments: all of one go to the backend of the first. */
import test from 'ava';
import { RingReader } from '../../src/dataplane/addon.js';
import { FirstFragments } from '../../src/dataplane/first-fragments.js';
import { type EarlyFragment, parseEarlyFragments } from '../../src/events/early-fragments.js';
import { lbMac } from '../support/data_path.js';
import { fragment6, header6, inFragments } from '../support/fragments.js';
import { ethernet, type IpPacket, ip4, ip6, type Payload, vlan } from '../support/frame.js';
import { until } from '../support/lab/until.js';
import { raw, tcp, udp } from '../support/transport.js';
import { endsFor } from './ends.js';
import { client6Of, clientOf, openWeb, vip4, vip6, type Web, webDesired } from './web.js';

const arriving = (packet: IpPacket): Buffer => ethernet({ to: lbMac }, packet);

/** A datagram of 8 kB from client `n`, as a host with MTU 1500 sends it. */
function datagram(n: number, { v6 = false, id = n, from = 40_000, bytes = 8000 } = {}): Buffer[] {
  const [source, to] = v6 ? [client6Of(n), vip6] : [clientOf(n), vip4];
  return inFragments({ from: source, to, id }, udp({ from, to: 53 }, Buffer.alloc(bytes, n)), 1448).map(arriving);
}

function backendsOf(web: Web, frames: readonly Buffer[]): string[] {
  return frames.map((frame) => {
    const { verdict, frame: out } = web.lb.run(frame);
    return verdict === 'TX' ? web.backendOf(out) : verdict;
  });
}

test('all fragments of a datagram go to the backend that the flow has, whatever the others have', async (t) => {
  for (const v6 of [false, true]) {
    const web = await openWeb(t);
    const chosen = new Set<string>();
    for (let n = 1; n <= 40; n++) {
      const all = new Set(backendsOf(web, datagram(n, { v6 })));
      const whole = web.send({ client: n, v6, udp: true });
      t.deepEqual([...all], [whole]);
      chosen.add(whole);
    }
    t.deepEqual([...chosen].sort(), ['be1', 'be2', 'be3']);
  }
});

test('in any order after the first', async (t) => {
  const web = await openWeb(t);
  for (let n = 1; n <= 10; n++) {
    const [first, ...others] = datagram(n);
    t.is(new Set(backendsOf(web, [first!, ...others.reverse(), others[0]!])).size, 1);
  }
});

test('datagrams of one client that are under way at once are told apart by their number', async (t) => {
  const web = await openWeb(t);
  const flows = Array.from({ length: 30 }, (_, i) => ({ from: 40_000 + i, id: 100 + i }));
  const frames = flows.map((flow) => datagram(1, flow));
  const firsts = backendsOf(
    web,
    frames.map(([first]) => first!),
  );
  for (let piece = 1; piece < frames[0]!.length; piece++)
    t.deepEqual(
      backendsOf(
        web,
        frames.map((all) => all[piece]!),
      ),
      firsts,
    );
  t.true(new Set(firsts).size > 1);
});

test('the first is a packet of its flow: session and all; the others count as traffic', async (t) => {
  const web = await openWeb(t);
  const frames = datagram(1);
  backendsOf(web, frames);
  t.is(web.state({ udp: true }), 'young');
  const service = web.lb.counters.services(8)(web.lb.serviceId(vip4, 53, 17));
  t.like(service, { packets: BigInt(frames.length), sessions: 1n, noSession: 0n });
  t.is(
    Number(service.bytes),
    frames.reduce((total, { length }) => total + length, 0),
  );
});

test('all of a datagram have one flow label and one source port in a tunnel', async (t) => {
  const web = await openWeb(t, { forwarding: 'GUE' });
  await web.set(webDesired({ forwarding: 'GUE' }), { mtu: 1600 });
  const outerPorts = datagram(1).map((frame) => web.lb.run(frame).frame.readUInt16BE(34));
  t.is(new Set(outerPorts).size, 1);
});

test('TCP, too; and IPv6 with headers before and behind the fragment header', async (t) => {
  const web = await openWeb(t);
  const segment = tcp({ from: 40_000, to: 80, flags: 'A' }, Buffer.alloc(3000));
  const frames = inFragments({ from: clientOf(1), to: vip4, id: 9 }, segment, 1448).map(arriving);
  t.deepEqual(new Set(backendsOf(web, frames)), new Set([web.send({})]));
  const head = { from: client6Of(1), to: vip6 };
  const behind = header6(60, tcp({ from: 40_000, to: 80, flags: 'A' }, Buffer.alloc(16)));
  const first = ip6(head, header6(60, fragment6({ offset: 0, more: true, id: 3 }, behind)));
  const second = ip6(head, header6(60, fragment6({ offset: 48, more: false, id: 3 }, raw(60, 'the rest'))));
  t.deepEqual(new Set(backendsOf(web, [first, second].map(arriving))), new Set([web.send({ v6: true })]));
});

test('a fragment header on a packet that is whole changes nothing', async (t) => {
  const web = await openWeb(t);
  const whole = fragment6({ offset: 0, more: false, id: 3 }, tcp({ from: 40_000, to: 80, flags: 'A' }));
  t.deepEqual(backendsOf(web, [arriving(ip6({ from: client6Of(1), to: vip6 }, whole))]), [web.send({ v6: true })]);
});

test('a first fragment without its whole transport header is malformed', async (t) => {
  const web = await openWeb(t);
  const cut = (payload: Payload, bytes: number): Payload => ({
    ...payload,
    bytes: (pseudo) => payload.bytes(pseudo).subarray(0, bytes),
  });
  const segment = tcp({ from: 40_000, to: 80, flags: 'S' });
  for (const bytes of [8, 16]) {
    endsFor(
      t,
      web,
      arriving(ip4({ from: clientOf(1), to: vip4, fragment: 0x2000 }, cut(segment, bytes))),
      'DROP_MALFORMED',
    );
    const first = fragment6({ offset: 0, more: true, id: 1 }, cut(segment, bytes));
    endsFor(t, web, arriving(ip6({ from: client6Of(1), to: vip6 }, first)), 'DROP_MALFORMED');
  }
});

test('of protocols that are not forwarded no fragment is', async (t) => {
  const web = await openWeb(t);
  const later = (protocol: number): Buffer =>
    arriving(ip4({ from: clientOf(1), to: vip4, fragment: 5 }, raw(protocol, 'data')));
  for (const protocol of [0, 4, 44, 47, 60, 132]) endsFor(t, web, later(protocol), 'DROP_PROTOCOL', `${protocol}`);
  for (const protocol of [1, 58]) endsFor(t, web, later(protocol), 'DROP_ICMP', `${protocol}`);
  const later6 = (protocol: number): Buffer =>
    arriving(
      ip6({ from: client6Of(1), to: vip6 }, fragment6({ offset: 8, more: false, id: 1 }, raw(protocol, 'data'))),
    );
  for (const protocol of [4, 47, 50, 59, 132]) endsFor(t, web, later6(protocol), 'DROP_PROTOCOL', `${protocol}`);
  for (const protocol of [1, 58]) endsFor(t, web, later6(protocol), 'DROP_ICMP', `${protocol}`);
  for (const protocol of [0, 43, 44]) endsFor(t, web, later6(protocol), 'DROP_EXTENSION', `${protocol}`);
});

test('after half a minute the first is forgotten', async (t) => {
  const web = await openWeb(t);
  const [first, second] = datagram(1) as [Buffer, Buffer];
  backendsOf(web, [first]);
  web.lb.pass(120);
  t.deepEqual(backendsOf(web, [second]), backendsOf(web, [first]));
  web.lb.pass(121);
  endsFor(t, web, second, 'DROP_FRAGMENT_EARLY');
});

test('a datagram whose backend went down is lost', async (t) => {
  const web = await openWeb(t);
  const [first, second] = datagram(1) as [Buffer, Buffer];
  const [backend] = backendsOf(web, [first]);
  await web.set(webDesired({ weights: ['be1', 'be2', 'be3'].map((name) => (name === backend ? null : 100)) }));
  endsFor(t, web, second, 'DROP_BACKEND_DOWN');
});

test('a small table forgets the oldest first', async (t) => {
  const web = await openWeb(t, { fragments: 1 });
  const [one, two, three, four, five] = [1, 2, 3, 4, 5].map((n) => datagram(n)) as [
    Buffer[],
    Buffer[],
    Buffer[],
    Buffer[],
    Buffer[],
  ];
  for (const all of [one, two, three, four]) {
    backendsOf(web, [all[0]!]);
    web.lb.pass(1);
  }
  backendsOf(web, [one[0]!, five[0]!]);
  endsFor(t, web, two[1]!, 'DROP_FRAGMENT_EARLY');
  for (const all of [one, three, four, five]) t.regex(backendsOf(web, [all[1]!])[0]!, /^be/);
});

test('the agent sees in place whose first fragment has come, and when it is forgotten', async (t) => {
  const web = await openWeb(t);
  const known = new FirstFragments(web.lb.maps.fragments, web.lb.clock);
  for (let n = 1; n <= 50; n++) {
    const [first, second] = datagram(n) as [Buffer, Buffer];
    const [early] = await given(web, () => {
      web.lb.run(second);
      return 1;
    });
    t.false(known.has(early!.tag));
    web.lb.run(first);
    t.true(known.has(early!.tag));
  }
  const [early] = await given(web, () => {
    web.lb.run(datagram(51)[1]!);
    return 1;
  });
  web.lb.run(datagram(51)[0]!);
  web.lb.pass(120);
  t.true(known.has(early!.tag));
  web.lb.pass(1);
  t.false(known.has(early!.tag));
});

/** What the agent is given while `during` runs. */
async function given(web: Web, during: () => number): Promise<EarlyFragment[]> {
  const found: EarlyFragment[] = [];
  const ring = new RingReader(web.lb.maps.events, {}, (records) => found.push(...parseEarlyFragments(records)));
  const expected = during();
  await until(`${expected} fragments are handed over`, () => found.length >= expected).finally(() => ring.close());
  return found;
}

test('those that come before the first are handed to the agent, whole, and go on once they come again after it', async (t) => {
  for (const v6 of [false, true]) {
    const web = await openWeb(t);
    const tagged = (frame: Buffer): Buffer =>
      Buffer.concat([frame.subarray(0, 12), Buffer.from('81000064', 'hex'), frame.subarray(12)]);
    for (const shaped of [(frame: Buffer) => frame, tagged]) {
      const [first, ...others] = datagram(shaped === tagged ? 2 : 1, { v6 }).map(shaped) as [Buffer, ...Buffer[]];
      const early = await given(web, () => {
        for (const frame of others) endsFor(t, web, frame, 'DROP_FRAGMENT_EARLY');
        return others.length;
      });
      t.deepEqual(
        early.map(({ frame }) => Buffer.from(frame)),
        others,
      );
      t.is(new Set(early.map(({ tag }) => tag)).size, 1);
      const [backend] = backendsOf(web, [first]);
      t.deepEqual(
        new Set(
          backendsOf(
            web,
            early.map(({ frame }) => Buffer.from(frame)),
          ),
        ),
        new Set([backend]),
      );
    }
  }
});

test('of every length up to what is handed over, each byte is there', async (t) => {
  const web = await openWeb(t, { allowances: { fragments: 10_000 } });
  const frames = Array.from({ length: 60 }, (_, i) => i * 33).map((bytes) =>
    arriving(ip4({ from: clientOf(1), to: vip4, fragment: 5, id: bytes }, raw(17, Buffer.alloc(bytes, bytes)))),
  );
  const early = await given(web, () => {
    for (const frame of frames) endsFor(t, web, frame, 'DROP_FRAGMENT_EARLY', `${frame.length}`);
    return frames.length;
  });
  t.deepEqual(
    early.map(({ frame }) => Buffer.from(frame)),
    frames,
  );
});

test('so many in a tick, and none that is longer than the agent holds: they are dropped', async (t) => {
  const web = await openWeb(t, { allowances: { fragments: 2 } });
  const [, ...others] = datagram(1) as [Buffer, Buffer, Buffer, Buffer];
  for (const frame of others.slice(0, 2)) endsFor(t, web, frame, 'DROP_FRAGMENT_EARLY');
  endsFor(t, web, others[2]!, 'DROP_FRAGMENT');
  web.lb.pass(1);
  const long = ip4({ from: clientOf(1), to: vip4, fragment: 5 }, raw(17, Buffer.alloc(2020)));
  endsFor(t, web, ethernet({ to: lbMac }, long), 'DROP_FRAGMENT');
  endsFor(t, web, ethernet({ to: lbMac }, vlan(1), long), 'DROP_FRAGMENT');
  endsFor(t, web, others[2]!, 'DROP_FRAGMENT_EARLY');
  const never = await openWeb(t, { allowances: { fragments: 0 } });
  endsFor(t, never, others[0]!, 'DROP_FRAGMENT');
});
