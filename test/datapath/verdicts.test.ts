/** What is passed untouched, what is dropped and why: each packet has one reason, counted once. */
import test from 'ava';
import { lbMac } from '../support/data_path.js';
import { header6 } from '../support/fragments.js';
import { ethernet, type IpPacket, ip4, ip6, type Payload, vlan } from '../support/frame.js';
import { withoutHeadroom } from '../support/headroom.js';
import { icmp4, icmp6, raw, tcp, udp } from '../support/transport.js';
import { endsFor } from './ends.js';
import { client6Of, clientOf, openWeb, vip4, vip6, webDesired } from './web.js';

const from4 = clientOf(1);
const from6 = client6Of(1);
const other4 = '192.0.2.99';
const other6 = '2001:db8:10::99';

const to4 = (payload: Payload, head = {}): Buffer =>
  ethernet({ to: lbMac }, ip4({ from: from4, to: vip4, ...head }, payload));
const to6 = (payload: Payload, head = {}): Buffer =>
  ethernet({ to: lbMac }, ip6({ from: from6, to: vip6, ...head }, payload));
const web = (flags = 'A'): Payload => tcp({ from: 40_000, to: 80, flags }, 'hello');

test("what is not IP is the kernel's: ARP, LLDP, a third VLAN tag", async (t) => {
  const lb = await openWeb(t);
  const arp = Buffer.from('0001080006040001020000000001c6336401000000000000c000020a', 'hex');
  endsFor(t, lb, ethernet({ to: 'ff:ff:ff:ff:ff:ff', type: 0x0806 }, arp), 'PASS_NOT_IP');
  endsFor(t, lb, ethernet({ to: lbMac, type: 0x0806 }, arp), 'PASS_NOT_IP');
  endsFor(t, lb, ethernet({ to: '01:80:c2:00:00:0e', type: 0x88cc }, Buffer.alloc(46)), 'PASS_NOT_IP');
  const ip = ip4({ from: from4, to: vip4 }, web());
  endsFor(t, lb, ethernet({ to: lbMac }, vlan(1), vlan(2), vlan(3), ip), 'PASS_NOT_IP');
});

test('what is not to a VIP passes untouched: SSH, neighbour discovery, pings, fragments, other protocols', async (t) => {
  const lb = await openWeb(t);
  const pass = (packet: IpPacket): void => endsFor(t, lb, ethernet({ to: lbMac }, packet), 'PASS_NOT_VIP');
  pass(ip4({ from: from4, to: other4 }, tcp({ from: 40_000, to: 22, flags: 'S' })));
  pass(ip4({ from: from4, to: other4 }, icmp4(8, 0)));
  pass(ip4({ from: from4, to: other4, fragment: 0x2000 }, web()));
  pass(ip4({ from: from4, to: other4 }, raw(4, 'a tunnel')));
  pass(ip6({ from: from6, to: other6 }, tcp({ from: 40_000, to: 22, flags: 'S' })));
  pass(ip6({ from: from6, to: 'ff02::1:ff00:10', hopLimit: 255 }, icmp6(135, 0, Buffer.alloc(20))));
  pass(ip6({ from: from6, to: other6 }, header6(0, web())));
});

test('an address that the VIP filter cannot tell from a VIP is told by the VIP map', async (t) => {
  const lb = await openWeb(t);
  lb.lb.maps.vip_filter.update(new Uint8Array(4), new Uint8Array(8192).fill(0xff));
  endsFor(t, lb, ethernet({ to: lbMac }, ip4({ from: from4, to: other4 }, web())), 'PASS_NOT_VIP');
  endsFor(t, lb, ethernet({ to: lbMac }, ip4({ from: from4, to: other4 }, icmp4(8, 0))), 'PASS_NOT_VIP');
  endsFor(t, lb, ethernet({ to: lbMac }, ip6({ from: from6, to: other6 }, web())), 'PASS_NOT_VIP');
  endsFor(t, lb, ethernet({ to: lbMac }, ip6({ from: from6, to: other6, nextHeader: 44 }, web())), 'PASS_NOT_VIP');
});

test('a frame for another host passes, though its packet is for a VIP', async (t) => {
  const lb = await openWeb(t);
  const ip = ip4({ from: from4, to: vip4 }, web());
  endsFor(t, lb, ethernet({ to: '02:00:00:00:00:99' }, ip), 'PASS_OTHER_MAC');
  endsFor(t, lb, ethernet({ to: 'ff:ff:ff:ff:ff:ff' }, ip), 'PASS_OTHER_MAC');
  endsFor(
    t,
    lb,
    ethernet({ to: '02:00:00:00:00:99' }, ip6({ from: from6, to: vip6 }, icmp6(128, 0))),
    'PASS_OTHER_MAC',
  );
});

test('each of up to eight own addresses takes packets', async (t) => {
  const lb = await openWeb(t);
  const macs = Array.from({ length: 8 }, (_, i) => `02:00:00:00:01:0${i}`);
  lb.lb.settings.setMacs(macs.map((mac) => Buffer.from(mac.replaceAll(':', ''), 'hex')));
  const ip = ip4({ from: from4, to: vip4 }, web());
  for (const to of macs) t.is(lb.lb.run(ethernet({ to }, ip)).verdict, 'TX', to);
  endsFor(t, lb, ethernet({ to: lbMac }, ip), 'PASS_OTHER_MAC');
});

test('a VIP without a listener on the port and protocol drops', async (t) => {
  const lb = await openWeb(t);
  endsFor(t, lb, to4(tcp({ from: 40_000, to: 81, flags: 'S' })), 'DROP_NO_LISTENER');
  endsFor(t, lb, to4(udp({ from: 40_000, to: 80 })), 'DROP_NO_LISTENER', 'UDP on the port of a TCP listener');
  endsFor(t, lb, to4(tcp({ from: 40_000, to: 0 })), 'DROP_NO_LISTENER', 'port 0 is no listener');
  endsFor(t, lb, to6(tcp({ from: 40_000, to: 53 })), 'DROP_NO_LISTENER');
});

test('ICMP to a VIP that is neither an echo request nor an error drops, and so does any protocol but TCP and UDP', async (t) => {
  const lb = await openWeb(t);
  for (const type of [0, 4, 5, 9, 13, 17, 255]) endsFor(t, lb, to4(icmp4(type, 0)), 'DROP_ICMP', `type ${type}`);
  for (const type of [0, 100, 129, 133, 135, 137]) endsFor(t, lb, to6(icmp6(type, 0)), 'DROP_ICMP', `type ${type}`);
  endsFor(t, lb, to4(raw(58, Buffer.alloc(20))), 'DROP_ICMP', 'ICMPv6 in IPv4');
  endsFor(t, lb, to6(raw(1, Buffer.alloc(20))), 'DROP_ICMP', 'ICMP in IPv6');
  for (const protocol of [0, 2, 4, 47, 50, 132, 255])
    endsFor(t, lb, to4(raw(protocol, 'data')), 'DROP_PROTOCOL', `${protocol}`);
  for (const header of [50, 59, 132, 255]) endsFor(t, lb, to6(raw(header, 'data')), 'DROP_PROTOCOL', `${header}`);
});

test("neighbour discovery about a VIP is the kernel's, like ARP: what no router passed on", async (t) => {
  const lb = await openWeb(t);
  for (const type of [133, 134, 135, 136, 137])
    endsFor(t, lb, to6(icmp6(type, 0, Buffer.alloc(20)), { hopLimit: 255 }), 'PASS_NEIGHBOR', `type ${type}`);
  endsFor(t, lb, to6(icmp6(135, 0, Buffer.alloc(20)), { hopLimit: 254 }), 'DROP_ICMP');
  endsFor(t, lb, to6(icmp6(138, 0, Buffer.alloc(20)), { hopLimit: 255 }), 'DROP_ICMP');
  endsFor(t, lb, to4(icmp4(135, 0, Buffer.alloc(20)), { ttl: 255 }), 'DROP_ICMP');
});

test('an IPv6 packet to the IPv4-mapped form of a VIP is to no VIP', async (t) => {
  const lb = await openWeb(t);
  const mapped = (payload: Payload): Buffer =>
    ethernet({ to: lbMac }, ip6({ from: from6, to: `::ffff:${vip4}` }, payload));
  endsFor(t, lb, mapped(web('S')), 'PASS_NOT_VIP');
  endsFor(t, lb, mapped(web('A')), 'PASS_NOT_VIP');
  endsFor(t, lb, mapped(icmp6(128, 0)), 'PASS_NOT_VIP');
  endsFor(t, lb, mapped(raw(132, 'data')), 'PASS_NOT_VIP');
});

test('lengths that lie drop', async (t) => {
  const lb = await openWeb(t);
  const lies4 = [
    { totalLength: 19 },
    { totalLength: 39 },
    { totalLength: 46 },
    { totalLength: 65_535 },
    { headerWords: 4 },
  ];
  for (const lie of lies4) endsFor(t, lb, to4(web(), lie), 'DROP_MALFORMED', JSON.stringify(lie));
  endsFor(t, lb, to4(web(), { headerWords: 15 }), 'DROP_MALFORMED', 'options reach beyond the packet');
  endsFor(t, lb, to4(web(), { version: 5 }), 'DROP_MALFORMED');
  endsFor(t, lb, to4(web(), { version: 6 }), 'DROP_MALFORMED');
  const lies6 = [
    { payloadLength: 0 },
    { payloadLength: 19 },
    { payloadLength: 26 },
    { payloadLength: 65_535 },
    { version: 4 },
  ];
  for (const lie of lies6) endsFor(t, lb, to6(web(), lie), 'DROP_MALFORMED', JSON.stringify(lie));
  endsFor(t, lb, to4(udp({ from: 1, to: 53 }), { totalLength: 27 }), 'DROP_MALFORMED', 'less than a UDP header');
});

test('a frame cut off after each of its bytes: passed as long as nobody can know whose it is, then dropped', async (t) => {
  const lb = await openWeb(t);
  for (const tags of [[], [vlan(5)], [vlan(5, { tpid: 0x88a8 }), vlan(6)]]) {
    for (const [packet, header] of [
      [ip4({ from: from4, to: vip4 }, web()), 20],
      [ip6({ from: from6, to: vip6 }, web()), 40],
    ] as const) {
      const frame = ethernet({ to: lbMac }, ...tags, packet);
      const ipAt = 14 + 4 * tags.length;
      for (let length = 14; length < frame.length; length++) {
        const reason = length < ipAt + header ? 'PASS_MALFORMED' : 'DROP_MALFORMED';
        endsFor(t, lb, frame.subarray(0, length), reason, `${length} of ${frame.length} bytes`);
      }
      t.is(lb.lb.run(frame).verdict, 'TX');
    }
  }
});

test('a stopped listener drops, its neighbours do not', async (t) => {
  const lb = await openWeb(t);
  const desired = webDesired();
  const [balancer] = desired.loadBalancers;
  const listeners = balancer!.listeners.map((one) => ({ ...one, stopped: one.port === 80 }));
  await lb.set({ ...desired, loadBalancers: [{ ...balancer!, listeners }] });
  endsFor(t, lb, to4(web()), 'DROP_STOPPED');
  endsFor(t, lb, to6(web('S')), 'DROP_STOPPED');
  t.is(lb.lb.run(to4(tcp({ from: 40_000, to: 443 }))).verdict, 'TX');
});

test('no backend in the pool, or none that is up, drops', async (t) => {
  const drained = await openWeb(t, { weights: [0, 0, 0] });
  endsFor(t, drained, to4(web('S')), 'DROP_NO_BACKEND');
  const closed = await openWeb(t, { listener: { allUnhealthy: 'FAIL_CLOSED' } });
  const row = closed.lb.control.read().backends;
  for (const [id, backend] of row)
    await closed.lb.control.apply([{ op: 'write-backend', id, row: { ...backend, flags: 1 } }]);
  endsFor(t, closed, to4(web('S')), 'DROP_BACKEND_DOWN', 'between the verdict and the swap of the table');
});

test('maps that contradict each other drop as a defect', async (t) => {
  const lb = await openWeb(t);
  const [pool] = lb.lb.compiled!.pools;
  await lb.lb.control.apply([{ op: 'clear-pool', pool: pool!.id }]);
  endsFor(t, lb, to4(web('S')), 'DROP_INTERNAL', 'the service names a pool that is not in use');
});

test('no room before the frame for the outer header drops, by the short way too, and is not counted as carried', async (t) => {
  for (const forwarding of ['IPIP', 'GUE'] as const) {
    const lb = await openWeb(t, { forwarding });
    const frame = to4(web());
    const { program, close } = withoutHeadroom(lb.lb.program);
    t.teardown(close);
    const drops = (): void => {
      const { retval, data } = program.testRun({ data: frame });
      t.is(retval, 1);
      t.deepEqual(Buffer.from(data), frame);
    };
    drops();
    t.deepEqual(lb.lb.reasons(), { DROP_NO_HEADROOM: 1 });
    const service = (): unknown => lb.lb.counters.services(8)(lb.lb.serviceId(vip4, 80));
    const carried = (): bigint => [1, 2, 3].reduce((sum, n) => sum + lb.lb.counters.backends(8)(n).packets, 0n);
    t.deepEqual(service(), { packets: 0n, bytes: 0n, sessions: 0n, noSession: 0n });
    for (let packet = 0; packet < 3; packet++) t.is(lb.lb.run(frame).verdict, 'TX');
    const before = service();
    for (let packet = 0; packet < 3; packet++) drops();
    t.deepEqual(lb.lb.reasons(), { DROP_NO_HEADROOM: 4 });
    t.deepEqual(service(), before);
    t.is(carried(), 3n);
  }
});
