/** What leaves the load balancer, byte for byte: input and expected packet side by side. */
import test from 'ava';
import { ipToBytes } from '../../src/base/ip.js';
import { flowTag } from '../../src/compile/fingerprint.js';
import { DataPath, lbMac } from '../support/data_path.js';
import {
  backend,
  desiredOf,
  group,
  lbAddress4,
  lbAddress6,
  listener,
  loadBalancer,
  macOf,
  seen,
} from '../support/desired.js';
import { ethernet, type IpPacket, ip4, ip6, routerMac, vlan } from '../support/frame.js';
import { tcp, udp } from '../support/transport.js';
import { be4, be6, client4, client6, oneBackend, vip4, vip6 } from './one_backend.js';

const segment = (data = ''): ReturnType<typeof tcp> => tcp({ from: 40_000, to: 80, flags: 'A' }, data);
const inner4 = (fields = {}): IpPacket => ip4({ from: client4, to: vip4, ...fields }, segment('hello'));
const inner6 = (fields = {}): IpPacket => ip6({ from: client6, to: vip6, ...fields }, segment('hello'));
const arriving = (...rest: Parameters<typeof ethernet> extends [unknown, ...infer Rest] ? Rest : never): Buffer =>
  ethernet({ to: lbMac, from: routerMac }, ...rest);
const leaving = (
  to: string,
  ...rest: Parameters<typeof ethernet> extends [unknown, ...infer Rest] ? Rest : never
): Buffer => ethernet({ to: macOf(to), from: lbMac }, ...rest);
const sent = (frame: Buffer): { verdict: 'TX'; frame: Buffer } => ({ verdict: 'TX', frame });

/** The outer flow label: the lowest 20 bits of the flow's fingerprint. */
function flowLabel(
  lb: DataPath,
  v6: boolean,
  ports = { sourcePort: 40_000, destinationPort: 80, protocol: 6 },
): number {
  const [source, destination] = (v6 ? [client6, vip6] : [client4, vip4]).map(ipToBytes) as [Uint8Array, Uint8Array];
  return Number(flowTag({ source, destination, v6, ...ports }, lb.key) & 0xfffffn);
}

test('L2_DSR: the next hop becomes the backend, from the address that the frame came to; the rest stays', async (t) => {
  const lb = await oneBackend(t);
  t.deepEqual(lb.run(arriving(inner4())), sent(leaving(be4, inner4())));
  t.deepEqual(lb.run(arriving(inner6())), sent(leaving(be4, inner6())));
});

test('L2_DSR has nothing to add, so no packet is too big for it', async (t) => {
  const lb = await oneBackend(t, { forwarding: 'L2_DSR', address: be4, mtu: 1280 });
  const packet = ip4({ from: client4, to: vip4 }, segment('x'.repeat(1460)));
  t.deepEqual(lb.run(arriving(packet)), sent(leaving(be4, packet)));
});

test('IPIP v4 in v4: outer header with its checksum, DF, no id, the whole TOS of the packet inside', async (t) => {
  const lb = await oneBackend(t, { forwarding: 'IPIP' });
  for (const tos of [0, 0x2e << 2, 1, 2, 3, 0xff]) {
    const inner = inner4({ tos, ttl: 17, id: 0xbeef, fragment: 0 });
    const outer = ip4({ from: lbAddress4, to: be4, tos, ttl: 64, id: 0, fragment: 0x4000 }, inner);
    t.deepEqual(lb.run(arriving(inner)), sent(leaving(be4, outer)), `TOS ${tos}`);
  }
});

test('IPIP v6 in v6: traffic class copied, flow label from the flow, hop limit its own', async (t) => {
  const lb = await oneBackend(t, { forwarding: 'IPIP', address: be6 });
  for (const trafficClass of [0, 0xb8, 1, 0xff]) {
    const inner = inner6({ trafficClass, hopLimit: 3, flowLabel: 0x12345 });
    const outer = ip6({ from: lbAddress6, to: be6, trafficClass, flowLabel: flowLabel(lb, true) }, inner);
    t.deepEqual(lb.run(arriving(inner)), sent(leaving(be6, outer)), `class ${trafficClass}`);
  }
});

test('IPIP v4 in v6: the TOS becomes the traffic class', async (t) => {
  const lb = await oneBackend(t, { forwarding: 'IPIP', address: be6 });
  for (const tos of [0, 0xb8, 2, 0xff]) {
    const inner = inner4({ tos });
    const outer = ip6({ from: lbAddress6, to: be6, trafficClass: tos, flowLabel: flowLabel(lb, false) }, inner);
    t.deepEqual(lb.run(arriving(inner)), sent(leaving(be6, outer)), `TOS ${tos}`);
  }
});

test('flows of one tunnel have flow labels of their own', async (t) => {
  const lb = await oneBackend(t, { forwarding: 'IPIP', address: be6 });
  const labels = new Set<number>();
  for (let port = 1024; port < 1124; port++) {
    const { frame } = lb.run(arriving(ip6({ from: client6, to: vip6 }, udp({ from: port, to: 80 }))));
    labels.add(frame.readUInt32BE(14) & 0xfffff);
  }
  t.true(labels.size > 95, `${labels.size} labels for 100 flows`);
});

test('VLAN and QinQ tags are kept, priority and all', async (t) => {
  const l2 = await oneBackend(t);
  const tunnel4 = await oneBackend(t, { forwarding: 'IPIP' });
  const tunnel6 = await oneBackend(t, { forwarding: 'IPIP', address: be6 });
  const outer4 = ip4({ from: lbAddress4, to: be4 }, inner4());
  const outer6 = ip6({ from: lbAddress6, to: be6, flowLabel: flowLabel(tunnel6, true) }, inner6());
  for (const tags of [
    [vlan(100, { priority: 5 })],
    [vlan(7, { tpid: 0x88a8 })],
    [vlan(7, { tpid: 0x88a8, priority: 3 }), vlan(100)],
    [vlan(7), vlan(4094, { priority: 7 })],
  ]) {
    t.deepEqual(l2.run(arriving(...tags, inner4())), sent(leaving(be4, ...tags, inner4())));
    t.deepEqual(tunnel4.run(arriving(...tags, inner4())), sent(leaving(be4, ...tags, outer4)));
    t.deepEqual(tunnel6.run(arriving(...tags, inner6())), sent(leaving(be6, ...tags, outer6)));
  }
});

test('UDP goes the same ways', async (t) => {
  const l2 = await oneBackend(t);
  const tunnel = await oneBackend(t, { forwarding: 'IPIP' });
  const query = ip4({ from: client4, to: vip4 }, udp({ from: 40_000, to: 80 }, 'query'));
  t.deepEqual(l2.run(arriving(query)), sent(leaving(be4, query)));
  t.deepEqual(tunnel.run(arriving(query)), sent(leaving(be4, ip4({ from: lbAddress4, to: be4 }, query))));
});

test('IPv4 options travel along', async (t) => {
  const l2 = await oneBackend(t);
  const tunnel = await oneBackend(t, { forwarding: 'IPIP' });
  for (const words of [1, 4, 10]) {
    const inner = ip4({ from: client4, to: vip4, options: new Uint8Array(words * 4).fill(1) }, segment());
    t.deepEqual(l2.run(arriving(inner)), sent(leaving(be4, inner)), `${words} words`);
    t.deepEqual(tunnel.run(arriving(inner)), sent(leaving(be4, ip4({ from: lbAddress4, to: be4 }, inner))));
  }
});

test("what Ethernet padded stays behind the packet and out of the tunnel's length", async (t) => {
  const tunnel = await oneBackend(t, { forwarding: 'IPIP' });
  const inner = ip4({ from: client4, to: vip4 }, segment());
  const padding = Buffer.alloc(6, 0xaa);
  const outer = ip4({ from: lbAddress4, to: be4 }, inner);
  t.deepEqual(
    tunnel.run(Buffer.concat([arriving(inner), padding])),
    sent(Buffer.concat([leaving(be4, outer), padding])),
  );
});

test('a packet of the largest size that the way to the backend takes goes; one byte more is too big', async (t) => {
  for (const [address, outerBytes, innerOf] of [
    [be4, 20, (data: string) => ip4({ from: client4, to: vip4 }, segment(data))],
    [be6, 40, (data: string) => ip4({ from: client4, to: vip4 }, segment(data))],
    [be6, 40, (data: string) => ip6({ from: client6, to: vip6 }, segment(data))],
  ] as const) {
    const lb = await oneBackend(t, { forwarding: 'IPIP', address, mtu: 1500 });
    const largest = 1500 - outerBytes - innerOf('').bytes(() => new Uint8Array(40)).length;
    t.is(lb.run(arriving(innerOf('x'.repeat(largest)))).verdict, 'TX');
    lb.run(arriving(innerOf('x'.repeat(largest + 1))));
    t.deepEqual(lb.reasons(), { ANSWER_TOO_BIG: 1 });
  }
});

test('a frame in fragments of memory (jumbo) goes like any other', async (t) => {
  const lb = new DataPath({ frags: true });
  t.teardown(() => lb.close());
  const desired = desiredOf(
    [loadBalancer('web', [vip4], [listener({ port: 80, backendGroup: 'web' })])],
    [group('web', 'IPIP', [backend('be1', be4)])],
  );
  await lb.apply(desired, seen(desired, { mtu: 9000 }));
  const inner = ip4({ from: client4, to: vip4 }, segment('jumbo'.repeat(1700)));
  const packets = 4;
  for (let n = 0; n < packets; n++) {
    t.deepEqual(lb.run(arriving(inner)), sent(leaving(be4, ip4({ from: lbAddress4, to: be4 }, inner))));
  }
  const service = lb.counters.services(8)(lb.serviceId(vip4, 80));
  t.is(Number(service.bytes), packets * arriving(inner).length, 'the whole frame is counted, not its linear part');
});
