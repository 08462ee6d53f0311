import test from 'ava';
import fc from 'fast-check';
import { describeFrame } from '../../../src/cli/format/frame.js';
import { ethernet, ip4, ip6, vlan } from '../../support/frame.js';
import { holds } from '../../support/holds.js';
import { icmp4, icmp6, raw, tcp, udp } from '../../support/transport.js';

const to = '02:00:00:00:00:11';
const four = { from: '198.51.100.7', to: '192.0.2.10' };
const six = { from: '2001:db8:100::7', to: '2001:db8:10::10' };
const ports = { from: 40_000, to: 80 };

test('a frame in a line', (t) => {
  const lines = [
    ethernet({ to }, ip4(four, tcp({ ...ports, flags: 'SA' }))),
    ethernet({ to }, vlan(12), ip6(six, udp(ports))),
    ethernet({ to }, ip4(four, icmp4(8, 0, Buffer.alloc(4)))),
    ethernet({ to }, ip6(six, icmp6(2, 0, Buffer.alloc(4)))),
    ethernet({ to }, ip4({ ...four, fragment: 0x2000 }, udp(ports))),
    ethernet({ to }, ip4({ ...four, fragment: 185 }, udp(ports))),
    ethernet({ to }, ip4(four, raw(47, Buffer.alloc(4)))),
    Buffer.from('0200000000110200000000010806', 'hex'),
  ].map(describeFrame);
  t.deepEqual(lines, [
    'TCP 198.51.100.7:40000 > 192.0.2.10:80 [SA]',
    'vlan 12 UDP [2001:db8:100::7]:40000 > [2001:db8:10::10]:80',
    'ICMP 198.51.100.7 > 192.0.2.10 echo request',
    'ICMPv6 2001:db8:100::7 > 2001:db8:10::10 too big',
    'UDP 198.51.100.7:40000 > 192.0.2.10:80 first fragment',
    'IPv4 198.51.100.7 > 192.0.2.10 fragment at 1480',
    'IPv4 198.51.100.7 > 192.0.2.10 protocol 47',
    'Ethernet type 0x0806',
  ]);
});

test('whatever the bytes are, there is a line', (t) => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 90 }), fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x1234), (bytes, type) => {
      if (bytes.length >= 14) new DataView(bytes.buffer, bytes.byteOffset).setUint16(12, type);
      t.false(describeFrame(bytes).includes('undefined'));
    }),
  );
});
