/** Packets that a tunnel does not take: their sender is told what it does. */
import test, { type ExecutionContext } from 'ava';
import { internetChecksum } from '../support/checksum.js';
import { lbMac } from '../support/data_path.js';
import { inFragments } from '../support/fragments.js';
import { ethernet, type Ip4Head, type IpPacket, ip4, ip6, routerMac, type VlanTag, vlan } from '../support/frame.js';
import { icmp4, icmp6, tcp, udp } from '../support/transport.js';
import { answeredFor, endsFor } from './ends.js';
import { client6Of, clientOf, openWeb, vip4, vip6, type Web, type WebOptions, webDesired } from './web.js';

const from4 = clientOf(1);
const from6 = client6Of(1);
const full = (bytes: number): ReturnType<typeof tcp> =>
  tcp({ from: 40_000, to: 80, flags: 'A' }, Buffer.alloc(bytes, 7));
const big4 = (bytes: number, head: Partial<Ip4Head> = {}): IpPacket =>
  ip4({ from: from4, to: vip4, ...head }, full(bytes - 40 - (head.options?.length ?? 0)));
const big6 = (bytes: number): IpPacket => ip6({ from: from6, to: vip6 }, full(bytes - 60));
const bytesOf = (packet: IpPacket): Buffer => packet.bytes(() => new Uint8Array(0));
const arriving = (...rest: [...VlanTag[], IpPacket]): Buffer => ethernet({ to: lbMac, from: routerMac }, ...rest);
const leaving = (...rest: [...VlanTag[], IpPacket]): Buffer => ethernet({ to: routerMac, from: lbMac }, ...rest);

async function tunnels(t: ExecutionContext, mtu: number, options: WebOptions = {}): Promise<Web> {
  const web = await openWeb(t, { forwarding: 'IPIP', ...options });
  await web.set(webDesired({ forwarding: 'IPIP', ...options }), { mtu });
  return web;
}

function told4(quoted: Buffer, mtu: number): IpPacket {
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(mtu, 2);
  return ip4({ from: vip4, to: from4, tos: 0xc0 }, icmp4(3, 4, Buffer.concat([rest, quoted])));
}

function told6(quoted: Buffer, mtu: number): IpPacket {
  const rest = Buffer.alloc(4);
  rest.writeUInt32BE(mtu);
  return ip6({ from: vip6, to: from6 }, icmp6(2, 0, Buffer.concat([rest, quoted])));
}

test('IPv4 with DF: "fragmentation needed" from the VIP, with what the tunnel takes and as much of the packet as 576 bytes hold', async (t) => {
  const web = await tunnels(t, 1500);
  for (const packet of [big4(1500), big4(1481), big4(1500, { options: new Uint8Array(40) })]) {
    const out = answeredFor(t, web, arriving(packet), 'ANSWER_TOO_BIG');
    t.deepEqual(out, leaving(told4(bytesOf(packet).subarray(0, 548), 1480)));
    t.is(out.length, 14 + 576);
  }
  t.is(web.lb.run(arriving(big4(1480))).verdict, 'TX');
  t.is(web.lb.reasons()['ANSWER_TOO_BIG'], 3);
});

test('IPv6: "packet too big", with as much of the packet as 1280 bytes hold', async (t) => {
  const web = await tunnels(t, 1500);
  for (const packet of [big6(1500), big6(1481)]) {
    const out = answeredFor(t, web, arriving(packet), 'ANSWER_TOO_BIG');
    t.deepEqual(out, leaving(told6(bytesOf(packet).subarray(0, 1232), 1480)));
    t.is(out.length, 14 + 1280);
  }
});

test('tags come back, padding does not', async (t) => {
  const web = await tunnels(t, 1500);
  for (const tags of [[vlan(100, { priority: 5 })], [vlan(7, { tpid: 0x88a8 }), vlan(100)]]) {
    const frame = Buffer.concat([arriving(...tags, big4(1500)), Buffer.alloc(5)]);
    const told = told4(bytesOf(big4(1500)).subarray(0, 548), 1480);
    t.deepEqual(answeredFor(t, web, frame, 'ANSWER_TOO_BIG'), leaving(...tags, told));
  }
});

test('a session that is established is told, too, and stays', async (t) => {
  const web = await tunnels(t, 1500);
  web.establish({});
  answeredFor(t, web, arriving(big4(1500)), 'ANSWER_TOO_BIG');
  t.is(web.state({}), 'established');
});

test('each tunnel has its own size', async (t) => {
  for (const [forwarding, outer] of [
    ['IPIP', 20],
    ['GUE', 28],
  ] as const) {
    const web = await tunnels(t, 1400, { forwarding });
    const packet = big4(1400 - outer + 1);
    const out = answeredFor(t, web, arriving(packet), 'ANSWER_TOO_BIG');
    t.deepEqual(out, leaving(told4(bytesOf(packet).subarray(0, 548), 1400 - outer)));
    t.is(web.lb.run(arriving(big4(1400 - outer))).verdict, 'TX');
  }
});

test('without DF it is dropped: nobody asked to be told', async (t) => {
  const web = await tunnels(t, 1500);
  endsFor(t, web, arriving(big4(1500, { fragment: 0 })), 'DROP_TOO_BIG');
});

test('IPv6 is never told less than 1280; what a narrower tunnel does not take of that is dropped', async (t) => {
  const web = await tunnels(t, 1290);
  const packet = big6(1281);
  t.deepEqual(
    answeredFor(t, web, arriving(packet), 'ANSWER_TOO_BIG'),
    leaving(told6(bytesOf(packet).subarray(0, 1232), 1280)),
  );
  endsFor(t, web, arriving(big6(1280)), 'DROP_TOO_BIG');
  t.is(web.lb.run(arriving(big6(1270))).verdict, 'TX');
});

test('of a packet shorter than 548 bytes, 68 are quoted: the longest header and 8 bytes', async (t) => {
  const web = await tunnels(t, 320);
  const packet = big4(400);
  t.deepEqual(
    answeredFor(t, web, arriving(packet), 'ANSWER_TOO_BIG'),
    leaving(told4(bytesOf(packet).subarray(0, 68), 300)),
  );
});

test('the checksum is right for whatever is quoted', async (t) => {
  const web = await tunnels(t, 1500, { allowances: { errors: 1000 } });
  for (let seed = 0; seed < 200; seed++) {
    const data = Buffer.from(Array.from({ length: 1472 }, (_, i) => (i * seed * 7919 + seed) & 0xff));
    const out = web.lb.run(arriving(ip4({ from: from4, to: vip4 }, udp({ from: 1, to: 53 }, data)))).frame;
    t.is(internetChecksum(out.subarray(14, 34)), 0);
    t.is(internetChecksum(out.subarray(34)), 0);
  }
});

test('so many in a tick, then no more until the next; 0 is never', async (t) => {
  const web = await tunnels(t, 1500, { allowances: { errors: 2 } });
  for (let tick = 0; tick < 3; tick++) {
    answeredFor(t, web, arriving(big4(1500)), 'ANSWER_TOO_BIG');
    answeredFor(t, web, arriving(big6(1500)), 'ANSWER_TOO_BIG');
    endsFor(t, web, arriving(big4(1500)), 'DROP_TOO_BIG');
    web.lb.pass(1);
  }
  const never = await tunnels(t, 1500, { allowances: { errors: 0 } });
  endsFor(t, never, arriving(big4(1500)), 'DROP_TOO_BIG');
});

test('never in answer to what is no single host', async (t) => {
  const web = await tunnels(t, 1500);
  for (const from of ['224.0.0.1', '255.255.255.255', '0.0.0.0', '127.0.0.1'])
    endsFor(t, web, arriving(big4(1500, { from })), 'DROP_TOO_BIG', from);
  endsFor(t, web, arriving(ip6({ from: 'ff02::1', to: vip6 }, full(1440))), 'DROP_TOO_BIG');
});

test('of a datagram in fragments the first alone is told', async (t) => {
  const web = await tunnels(t, 1500);
  const head = { from: from6, to: vip6, id: 7 };
  const [first, second] = inFragments(head, udp({ from: 40_000, to: 53 }, Buffer.alloc(4000)), 1448);
  const out = answeredFor(t, web, arriving(first!), 'ANSWER_TOO_BIG');
  t.deepEqual(out, leaving(told6(bytesOf(first!).subarray(0, 1232), 1480)));
  endsFor(t, web, arriving(second!), 'DROP_TOO_BIG');
});
