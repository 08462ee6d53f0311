import { fileURLToPath } from 'node:url';
import test from 'ava';
import { egressSize, writeEgress } from '../../src/abi/abi.generated.js';
import { ipToPlainBytes, parseMac } from '../../src/base/ip.js';
import { egressRow } from '../../src/compile/egress.js';
import { BpfObject, type BpfProgram } from '../../src/dataplane/addon.js';
import type { WayOut } from '../../src/netlink/types.js';
import { type BackendEntry, encodeBackendEntry, tunnelPort } from '../lab/health_entry.js';

const mark = 0x53570000;
const passes = 0; // TC_ACT_OK
const drops = 4; // TC_ACT_STOLEN: in silence
const redirects = 7; // TC_ACT_REDIRECT
const routerMac = '02:00:00:00:00:01';
const ownMac = '02:00:00:00:00:11';
const backendMac = '02:00:00:00:00:21';

const backends: readonly BackendEntry[] = [
  { mac: null, forwarding: 'L2_DSR', address: '0.0.0.0', source: '0.0.0.0', flags: 0 },
  { mac: backendMac, forwarding: 'L2_DSR', address: '203.0.113.21', source: '203.0.113.11' },
  { mac: backendMac, forwarding: 'IPIP4', address: '203.0.113.22', source: '203.0.113.11' },
  { mac: backendMac, forwarding: 'IPIP6', address: '2001:db8:200::22', source: '2001:db8:200::11' },
  { mac: null, forwarding: 'L2_DSR', address: '203.0.113.24', source: '203.0.113.11' },
  { mac: backendMac, forwarding: 'L2_DSR', address: '203.0.113.25', source: '203.0.113.11', flags: 0 },
  { mac: backendMac, forwarding: 'GUE4', address: '203.0.113.26', source: '203.0.113.11' },
  { mac: backendMac, forwarding: 'GUE6', address: '2001:db8:200::26', source: '2001:db8:200::11' },
  { mac: backendMac, forwarding: 'L2_DSR', address: '203.0.113.27', source: '203.0.113.11', egress: 1 },
  { mac: backendMac, forwarding: 'IPIP4', address: '203.0.113.22', source: '203.0.113.11', egress: 2 },
  { mac: backendMac, forwarding: 'L2_DSR', address: '203.0.113.28', source: '203.0.113.11', egress: 9 },
  { mac: backendMac, forwarding: 'L2_DSR', address: '203.0.113.29', source: '203.0.113.11', egress: 3 },
];
/** A test run's packets leave by interface 1, the loopback. */
const otherMac = '02:00:00:00:01:11';
const waysOut: readonly WayOut[] = [
  { device: 'eth1', ports: [11], mac: otherMac, vlan: 0 },
  { device: 'bond0', ports: [11, 1], mac: otherMac, vlan: 0 },
  { device: 'eth0.20', ports: [1], mac: ownMac, vlan: 20 },
];

let object: BpfObject;
let program: BpfProgram;

test.before(() => {
  object = BpfObject.load(fileURLToPath(new URL('../../bpf/probe.bpf.o', import.meta.url)), {
    maxEntries: { backends_v2: backends.length },
  });
  program = object.program('probe');
  const map = object.map('backends_v2');
  backends.forEach((entry, id) => {
    map.update(Uint8Array.from([id, 0, 0, 0]), encodeBackendEntry(entry));
  });
  const egresses = object.map('egresses_v2');
  waysOut.forEach((way, i) => {
    const bytes = new Uint8Array(egressSize);
    writeEgress(new DataView(bytes.buffer), 0, egressRow(way));
    egresses.update(Uint8Array.from([i + 1, 0, 0, 0]), bytes);
  });
});
test.after.always(() => object?.close());

/** struct __sk_buff: `mark` is its third word, and of those set the only one that a test run allows. */
function run(frame: Uint8Array, skbMark: number): { verdict: number; frame: Buffer } {
  const { verdict, frame: out } = runWithMark(frame, skbMark);
  return { verdict, frame: out };
}

function runWithMark(frame: Uint8Array, skbMark: number): { verdict: number; frame: Buffer; markOut: number } {
  const context = Buffer.alloc(192);
  context.writeUInt32LE(skbMark, 8);
  const { retval, data, ctx } = program.testRun({ data: frame, ctx: context });
  return { verdict: retval, frame: Buffer.from(data), markOut: Buffer.from(ctx!).readUInt32LE(8) };
}

function ethernet(destination: string, type: number, payload: Uint8Array, source = ownMac): Buffer {
  const header = [...parseMac(destination)!, ...parseMac(source)!, type >> 8, type & 255];
  return Buffer.concat([Buffer.from(header), payload]);
}

function ipv4(protocol: number, source: string, destination: string, payload: Uint8Array, tos = 0, id = 0): Buffer {
  const header = Buffer.alloc(20);
  header.set([0x45, tos]);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(id, 4);
  header.set([0x40, 0, 64, protocol], 6);
  header.set(ipToPlainBytes(source), 12);
  header.set(ipToPlainBytes(destination), 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

function checksum(header: Buffer): number {
  let sum = 0;
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function ipv6(nextHeader: number, source: string, destination: string, payload: Uint8Array, trafficClass = 0): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(0x60000000 + trafficClass * 2 ** 20, 0);
  header.writeUInt16BE(payload.length, 4);
  header.set([nextHeader, 64], 6);
  header.set(ipToPlainBytes(source), 8);
  header.set(ipToPlainBytes(destination), 24);
  return Buffer.concat([header, payload]);
}

const tcp = Buffer.from('9c400050000000010000000050020200beef0000', 'hex');
const probe4 = ipv4(6, '203.0.113.11', '192.0.2.10', tcp, 0x28, 0x1234);
const probe6 = ipv6(6, '2001:db8:200::11', '2001:db8:10::10', tcp, 0x2a);
const frame4 = ethernet(routerMac, 0x0800, probe4);
const frame6 = ethernet(routerMac, 0x86dd, probe6);

test('a packet without our mark is left alone', (t) => {
  for (const other of [0, 1, 0x53560001, 0x57530001]) {
    t.deepEqual(run(frame4, other), { verdict: passes, frame: frame4 });
  }
});

test('L2_DSR: the next hop becomes the backend, nothing else changes', (t) => {
  t.deepEqual(run(frame4, mark + 1), { verdict: passes, frame: ethernet(backendMac, 0x0800, probe4) });
  t.deepEqual(run(frame6, mark + 1), { verdict: passes, frame: ethernet(backendMac, 0x86dd, probe6) });
});

test('IPIP over IPv4: outer header with its checksum and the TOS of the probe', (t) => {
  const outer = ipv4(4, '203.0.113.11', '203.0.113.22', probe4, 0x28);
  t.deepEqual(run(frame4, mark + 2), { verdict: passes, frame: ethernet(backendMac, 0x0800, outer) });
  const outerOf6 = ipv4(41, '203.0.113.11', '203.0.113.22', probe6, 0x2a);
  t.deepEqual(run(frame6, mark + 2), { verdict: passes, frame: ethernet(backendMac, 0x0800, outerOf6) });
});

test('IPIP over IPv6: either family inside, the flow label from the hash', (t) => {
  for (const [frame, inner, protocol, trafficClass] of [
    [frame4, probe4, 4, 0x28],
    [frame6, probe6, 41, 0x2a],
  ] as const) {
    const result = run(frame, mark + 3);
    result.frame.writeUIntBE(result.frame.readUIntBE(15, 3) & 0xf00000, 15, 3);
    const outer = ipv6(protocol, '2001:db8:200::11', '2001:db8:200::22', inner, trafficClass);
    t.deepEqual(result, { verdict: passes, frame: ethernet(backendMac, 0x86dd, outer) });
  }
});

test('GUE over IPv4 and IPv6: the tunnel port, a source port of the flow, no checksum', (t) => {
  for (const [inner, frame, trafficClass] of [
    [probe4, frame4, 0x28],
    [probe6, frame6, 0x2a],
  ] as const) {
    const udp = Buffer.alloc(8);
    udp.writeUInt16BE(tunnelPort, 2);
    udp.writeUInt16BE(inner.length + 8, 4);
    for (const [id, header] of [
      [6, ipv4(17, '203.0.113.11', '203.0.113.26', Buffer.concat([udp, inner]), trafficClass)],
      [7, ipv6(17, '2001:db8:200::11', '2001:db8:200::26', Buffer.concat([udp, inner]), trafficClass)],
    ] as const) {
      const result = run(frame, mark + id);
      const portAt = 14 + (id === 6 ? 20 : 40);
      t.is(result.frame.readUInt16BE(portAt) & 0xc000, 0xc000, "of the ports that are nobody's own");
      result.frame.writeUInt16BE(0, portAt);
      if (id === 7) result.frame.writeUIntBE(result.frame.readUIntBE(15, 3) & 0xf00000, 15, 3);
      t.deepEqual(result, { verdict: passes, frame: ethernet(backendMac, id === 6 ? 0x0800 : 0x86dd, header) });
    }
  }
});

test('steered: the source address of the way out; redirected where that is another interface, without its mark', (t) => {
  const there = ethernet(backendMac, 0x0800, probe4, otherMac);
  t.deepEqual(runWithMark(frame4, mark + 8), { verdict: redirects, frame: there, markOut: 0 });
  const outer = ipv4(4, '203.0.113.11', '203.0.113.22', probe4, 0x28);
  const wrapped = ethernet(backendMac, 0x0800, outer, otherMac);
  t.deepEqual(runWithMark(frame4, mark + 9), { verdict: passes, frame: wrapped, markOut: mark + 9 });
});

test('steered: the tags of the way to the VIP go', (t) => {
  const tags = (...ids: number[]): Buffer =>
    Buffer.concat([...ids.map((id, i) => Buffer.from([0, id, i === ids.length - 1 ? 0x08 : 0x81, 0])), probe4]);
  const there = ethernet(backendMac, 0x0800, probe4, otherMac);
  t.deepEqual(run(ethernet(routerMac, 0x8100, tags(100)), mark + 8), { verdict: redirects, frame: there });
  t.deepEqual(run(ethernet(routerMac, 0x88a8, tags(100)), mark + 8), { verdict: redirects, frame: there });
  t.deepEqual(run(ethernet(routerMac, 0x8100, tags(100, 200)), mark + 8), { verdict: redirects, frame: there });
  t.is(run(ethernet(routerMac, 0x8100, tags(1, 2, 3)), mark + 8).verdict, drops, 'no packet of this host has three');
});

test('a probe that cannot go to its backend goes nowhere', (t) => {
  t.is(run(frame4, mark + 4).verdict, drops, 'next hop not resolved');
  t.is(run(frame4, mark + 5).verdict, drops, 'entry not in use');
  t.is(run(frame4, mark + 0).verdict, drops, 'id 0');
  t.is(run(frame4, mark + backends.length).verdict, drops, 'no such entry');
  t.is(run(frame4, mark + 0xffff).verdict, drops, 'no such entry');
  const tagged = ethernet(routerMac, 0x8100, Buffer.concat([Buffer.from('00640800', 'hex'), probe4]));
  t.is(run(tagged, mark + 1).verdict, drops, 'VLAN tag in the frame');
  t.is(run(frame4, mark + 10).verdict, drops, 'no such way out');
});
