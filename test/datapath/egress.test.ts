/** By which way, and with which link header, frames leave: input and expected packet side by side. */
import test from 'ava';
import { ipToBytes, parseMac } from '../../src/base/ip.js';
import { flowTag } from '../../src/compile/fingerprint.js';
import { type DataPath, lbMac } from '../support/data_path.js';
import { lbAddress4, lbAddress6, macOf, waysOut } from '../support/desired.js';
import { ethernet, type IpPacket, ip4, ip6, type Payload, routerMac, type VlanTag, vlan } from '../support/frame.js';
import { tcp, udp } from '../support/transport.js';
import { be4, be6, client4, client6, type OneBackend, oneBackend, vip4, vip6 } from './one_backend.js';

const secondMac = '02:00:00:00:01:11';

const segment = (data = 'hello'): Payload => tcp({ from: 40_000, to: 80, flags: 'A' }, data);
const inner4 = (data?: string): IpPacket => ip4({ from: client4, to: vip4 }, segment(data));
const inner6 = (): IpPacket => ip6({ from: client6, to: vip6 }, segment());

function tagOf(lb: DataPath, v6: boolean): bigint {
  const [source, destination] = (v6 ? [client6, vip6] : [client4, vip4]).map(ipToBytes) as [Uint8Array, Uint8Array];
  return flowTag({ source, destination, v6, sourcePort: 40_000, destinationPort: 80, protocol: 6 }, lb.key);
}

/** What a packet is wrapped in on its way to a backend. */
function outerOf(
  lb: DataPath,
  { forwarding, address = be4 }: Pick<OneBackend, 'forwarding' | 'address'>,
  inner: IpPacket,
): IpPacket {
  const tag = tagOf(lb, inner.etherType === 0x86dd);
  const flowLabel = Number(tag & 0xfffffn);
  const gue: Payload = {
    protocol: 17,
    bytes: () => {
      const body = inner.bytes(() => new Uint8Array(0));
      const head = Buffer.alloc(8);
      head.writeUInt16BE(0xc000 | Number(tag & 0x3fffn), 0);
      head.writeUInt16BE(6080, 2);
      head.writeUInt16BE(body.length + 8, 4);
      return Buffer.concat([head, body]);
    },
  };
  if (forwarding === 'L2_DSR') return inner;
  const payload = forwarding === 'GUE' ? gue : inner;
  return address.includes(':')
    ? ip6({ from: lbAddress6, to: address, flowLabel }, payload)
    : ip4({ from: lbAddress4, to: address }, payload);
}

const ways = [
  { device: 'eth1', verdict: 'REDIRECT', tag: null },
  { device: 'eth0.20', verdict: 'TX', tag: 20 },
  { device: 'eth1.30', verdict: 'REDIRECT', tag: 30 },
  { device: 'bond0', verdict: 'TX', tag: null },
  { device: 'bond1.4094', verdict: 'REDIRECT', tag: 4094 },
] as const;

/** Tags in, and the priority that a tag out has then. */
const arrivals: readonly { readonly tags: readonly VlanTag[]; readonly priority: number }[] = [
  { tags: [], priority: 0 },
  { tags: [vlan(10)], priority: 0 },
  { tags: [vlan(10, { priority: 5 })], priority: 5 },
  { tags: [vlan(0, { priority: 7 })], priority: 7 },
  { tags: [vlan(7, { tpid: 0x88a8, priority: 3 })], priority: 3 },
  { tags: [vlan(7, { tpid: 0x88a8, priority: 3 }), vlan(10, { priority: 6 })], priority: 3 },
  { tags: [vlan(7), vlan(10)], priority: 0 },
];
const wraps = [
  { forwarding: 'L2_DSR', address: be4 },
  { forwarding: 'IPIP', address: be4 },
  { forwarding: 'IPIP', address: be6 },
  { forwarding: 'GUE', address: be4 },
  { forwarding: 'GUE', address: be6 },
] as const;

for (const { device, verdict, tag } of ways) {
  test(`by ${device}: its source address and its tag, whatever tags and wrapping, first packet or established`, async (t) => {
    const out = waysOut.get(device)!;
    for (const wrap of wraps) {
      const lb = await oneBackend(t, { device, ...wrap });
      for (const { tags, priority } of arrivals) {
        for (const inner of [inner4(), inner6()]) {
          const tagsOut = tag === null ? [] : [vlan(tag, { priority })];
          const frame = ethernet({ to: macOf(wrap.address), from: out.mac }, ...tagsOut, outerOf(lb, wrap, inner));
          /* New, young, established by the short way. */
          for (let packet = 1; packet <= 3; packet++) {
            const result = lb.run(ethernet({ to: lbMac, from: routerMac }, ...tags, inner));
            t.deepEqual(result, { verdict, frame }, `${JSON.stringify({ wrap, tags, v6: inner.etherType, packet })}`);
          }
        }
      }
      t.deepEqual(lb.reasons(), {});
    }
  });
}

test('an established flow is counted as any other', async (t) => {
  const lb = await oneBackend(t, { device: 'eth1', forwarding: 'IPIP' });
  const frame = ethernet({ to: lbMac, from: routerMac }, inner4());
  for (let packet = 0; packet < 5; packet++) lb.run(frame);
  const expected = { packets: 5n, bytes: BigInt(5 * frame.length), sessions: 1n, noSession: 0n };
  t.deepEqual(lb.counters.services(8)(lb.serviceId(vip4, 80)), expected);
  t.deepEqual(lb.counters.backends(8)(lb.backendId('be1')), expected);
});

test('frames to any own address are forwarded alike, by the short way too', async (t) => {
  const lb = await oneBackend(t, { device: 'eth0' });
  const macs = [lbMac, secondMac, '02:00:00:00:02:11', '02:00:00:00:03:11'];
  lb.settings.setMacs(macs.map((mac) => parseMac(mac)!));
  for (const mac of macs) {
    for (let packet = 0; packet < 3; packet++) {
      const frame = ethernet({ to: macOf(be4), from: mac }, inner4());
      t.deepEqual(lb.run(ethernet({ to: mac, from: routerMac }, inner4())), { verdict: 'TX', frame });
    }
  }
  for (const stranger of ['02:00:00:00:04:11', '00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff']) {
    t.is(lb.run(ethernet({ to: stranger, from: routerMac }, inner4())).verdict, 'PASS', stranger);
  }
  t.deepEqual(lb.reasons(), { PASS_OTHER_MAC: 3 });
});

test('a way out that is gone drops with its reason', async (t) => {
  const lb = await oneBackend(t, { device: 'eth1' });
  const frame = ethernet({ to: lbMac, from: routerMac }, inner4());
  for (let packet = 0; packet < 3; packet++) t.is(lb.run(frame).verdict, 'REDIRECT');
  const [id] = lb.control.read().egresses.keys();
  await lb.control.apply([{ op: 'clear-egress', id: id! }]);
  t.deepEqual(lb.run(frame), { verdict: 'DROP', frame });
  t.deepEqual(lb.reasons(), { DROP_EGRESS: 1 });
  t.is(lb.counters.backends(8)(lb.backendId('be1')).packets, 3n, 'what does not leave is not counted as sent');
});

test('a changed address or tag of the way out counts from the next packet on', async (t) => {
  const lb = await oneBackend(t, { device: 'eth1' });
  const arriving = ethernet({ to: lbMac, from: routerMac }, inner4());
  for (let packet = 0; packet < 3; packet++) lb.run(arriving);
  const [first] = lb.control.read().egresses;
  const [id, row] = first!;
  await lb.control.apply([{ op: 'write-egress', id, row: { ...row, mac: parseMac('02:00:00:00:09:09')!, vlan: 77 } }]);
  const frame = ethernet({ to: macOf(be4), from: '02:00:00:00:09:09' }, vlan(77), inner4());
  t.deepEqual(lb.run(arriving), { verdict: 'REDIRECT', frame });
});

test('what the other network has no room for is too big, wrapped or not', async (t) => {
  for (const { forwarding, outerBytes } of [
    { forwarding: 'L2_DSR', outerBytes: 0 },
    { forwarding: 'IPIP', outerBytes: 20 },
  ] as const) {
    const lb = await oneBackend(t, { device: 'eth1', forwarding, mtu: 1400 });
    const packet = (bytes: number): Buffer => ethernet({ to: lbMac, from: routerMac }, inner4('x'.repeat(bytes - 40)));
    for (let n = 0; n < 3; n++) t.is(lb.run(packet(1400 - outerBytes)).verdict, 'REDIRECT');
    const { verdict, frame } = lb.run(packet(1401 - outerBytes));
    t.is(verdict, 'TX', 'its sender is told, by the way that it came');
    t.is(frame.readUInt16BE(40), 1400 - outerBytes);
    t.deepEqual(lb.reasons(), { ANSWER_TOO_BIG: 1 });
  }
});

test('UDP, and frames in fragments of memory, leave the same ways', async (t) => {
  for (const frags of [false, true]) {
    const lb = await oneBackend(t, { device: 'eth1.30', forwarding: 'IPIP', frags });
    const query = ip4({ from: client4, to: vip4 }, udp({ from: 40_000, to: 80 }, 'q'.repeat(frags ? 8500 : 100)));
    const outer = ip4({ from: lbAddress4, to: be4 }, query);
    const frame = ethernet({ to: macOf(be4), from: waysOut.get('eth1.30')!.mac }, vlan(30), outer);
    for (let packet = 0; packet < 3; packet++) {
      const result = lb.run(ethernet({ to: lbMac, from: routerMac }, vlan(10), vlan(11), query));
      t.deepEqual(result, { verdict: 'REDIRECT', frame });
    }
  }
});
