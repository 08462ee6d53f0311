import test from 'ava';
import fc from 'fast-check';
import type { Check } from '../../../src/backend/checks/check.js';
import { checkForwarding, checkIpv6 } from '../../../src/backend/checks/kernel.js';
import { checkPaths, isWithin, type PathFacts } from '../../../src/backend/checks/paths.js';
import { checkPorts, isReserved, type PortFacts } from '../../../src/backend/checks/ports.js';
import { checkTraffic, type TrafficFacts } from '../../../src/backend/checks/traffic.js';
import { parseSockets } from '../../../src/backend/doctor/facts.js';
import type { PortMapping } from '../../../src/backend/mapping.js';
import { parsePrefix } from '../../../src/backend/prefix.js';
import type { Count } from '../../../src/backend/program.js';
import { bytesToIp, ipToBytes } from '../../../src/base/ip.js';
import { eth0, good, lo } from './facts.js';

const wrong = (checks: readonly Check[]): readonly string[] =>
  checks.filter(({ level }) => level !== 'ok').map(({ name, level, remedy }) => `${name} ${level}: ${remedy}`);

const mapping: PortMapping = { protocol: 'tcp', vip: '198.51.100.9', vipPort: 80, host: '10.0.0.2', hostPort: 8080 };
const mapped = { ...good.rules, vips: [...good.rules.vips, mapping.vip], mappings: [mapping] };

test('IPv6 that is off is told of where there are IPv6 VIPs', (t) => {
  t.deepEqual(wrong(checkIpv6(good)), []);
  const off = (path: string) => (path.endsWith('disable_ipv6') && !path.includes('/lo/') ? 1 : 0);
  t.deepEqual(wrong(checkIpv6({ ...good, setting: off })), [
    'ipv6 fail: sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0',
  ]);
  t.deepEqual(checkIpv6({ ...good, setting: off, rules: { ...good.rules, vips: ['198.51.100.7'] } }), []);
  t.is(wrong(checkIpv6({ ...good, setting: () => null })).length, 1, 'a kernel without IPv6');
});

test('forwarding is a problem where a VIP is not on the host', (t) => {
  const setting = () => 1;
  t.deepEqual(wrong(checkForwarding(good)), []);
  t.deepEqual(wrong(checkForwarding({ ...good, setting })), []);
  t.deepEqual(wrong(checkForwarding({ ...good, rules: mapped })), []);
  t.deepEqual(wrong(checkForwarding({ ...good, rules: mapped, setting })), [
    'forwarding4 fail: ip address add 198.51.100.9/32 dev lo',
  ]);
});

const paths: PathFacts = { ...good, loadBalancers: [], route: () => 'eth0' };

test('replies that leave where no program is, or not at all, are told of', (t) => {
  t.deepEqual(wrong(checkPaths(paths)), []);
  const by6 = (to: string) => (to.includes(':') ? 'eth1' : 'eth0');
  t.deepEqual(wrong(checkPaths({ ...paths, route: by6 })), [
    'route fail: spillway backend attach --interface eth0 --clamp-mss off --out eth0 eth1',
  ]);
  t.deepEqual(wrong(checkPaths({ ...paths, route: by6, mode: null, out: [] })), []);
  t.deepEqual(wrong(checkPaths({ ...paths, route: (to) => (to.includes(':') ? null : 'eth0') })), [
    'route fail: ip -6 route add default via ROUTER',
  ]);
  const asked: (string | null)[] = [];
  checkPaths({
    ...paths,
    interfaces: [{ ...lo, addresses: [] }, eth0],
    rules: mapped,
    route: (_to, from) => {
      asked.push(from);
      return 'eth0';
    },
  });
  t.deepEqual(asked, ['10.0.0.2'], 'of a mapping, its own address replies');
});

test('a load balancer must be reached, and named where names are given', (t) => {
  const one = { ...paths, loadBalancers: ['203.0.113.11'] };
  t.deepEqual(wrong(checkPaths(one)), []);
  t.deepEqual(wrong(checkPaths({ ...one, route: (to) => (to === '203.0.113.11' ? null : 'eth0') })), [
    'lb fail: ip -4 route add 203.0.113.11 dev eth0',
  ]);
  const from = [parsePrefix('203.0.113.12')!, parsePrefix('2001:db8::/32')!];
  t.deepEqual(wrong(checkPaths({ ...one, rules: { ...good.rules, from } })), [
    'lb fail: spillway backend attach --interface eth0 --from 203.0.113.12/32 2001:db8::/32 203.0.113.11/32 --clamp-mss off',
  ]);
  const says = (exempt: string) =>
    checkPaths({ ...one, rules: { ...mapped, exempt: [parsePrefix(exempt)!] } }).at(-1)?.detail ?? '';
  t.regex(says('203.0.113.0/24'), /is exempt from mapping/);
  t.regex(says('203.0.112.0/24'), /is mapped as clients are/);
});

test('an address is within a prefix when its first bits are', (t) => {
  const anyIp = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.')),
    fc.uint8Array({ minLength: 15, maxLength: 15 }).map((bytes) => bytesToIp(Uint8Array.of(0x20, ...bytes))),
  );
  const text = (ip: string) => [...ipToBytes(ip)].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  fc.assert(
    fc.property(anyIp, anyIp, fc.nat(128), (ip, other, bits) => {
      const v4 = other.includes('.');
      const length = v4 ? bits % 33 : bits;
      const kept = v4 ? length + 96 : length;
      return (
        isWithin(ip, [{ address: other, bits: length }]) === (text(ip).slice(0, kept) === text(other).slice(0, kept))
      );
    }),
  );
  t.true(isWithin('10.1.2.3', [{ address: '10.1.0.0', bits: 16 }]));
  t.false(isWithin('10.2.2.3', [{ address: '10.1.0.0', bits: 16 }]));
});

const ports: PortFacts = {
  ...good,
  rules: mapped,
  sockets: [{ protocol: 'tcp', address: '10.0.0.2', port: 8080 }],
  ephemeral: { first: 32768, last: 60999 },
  reserved: '8080,9000-9010',
};

test('a mapped port needs who listens on it, and must not be one that connections take', (t) => {
  t.deepEqual(wrong(checkPorts(ports)), []);
  const hears = (address: string, protocol: 'tcp' | 'udp' = 'tcp') =>
    wrong(checkPorts({ ...ports, sockets: [{ protocol, address, port: 8080 }] })).length === 0;
  t.true(hears('0.0.0.0'));
  t.true(hears('::'));
  t.false(hears('10.0.0.3'));
  t.false(hears('0.0.0.0', 'udp'));
  const high: PortFacts = { ...ports, rules: { ...mapped, mappings: [{ ...mapping, hostPort: 40_000 }] } };
  t.deepEqual(
    checkPorts(high).flatMap(({ level, name }) => (level === 'ok' ? [] : [`${name} ${level}`])),
    ['listens fail', 'ephemeral warn'],
  );
  t.regex(wrong(checkPorts(high)).at(-1)!, /ip_local_reserved_ports=8080,9000-9010,40000$/);
  t.is(wrong(checkPorts({ ...high, reserved: '39999-40001' })).length, 1);
});

test("GUE's port in the hands of a process is told of", (t) => {
  const sockets = [...ports.sockets, { protocol: 'udp' as const, address: '::', port: 6080 }];
  t.regex(wrong(checkPorts({ ...ports, sockets }))[0] ?? '', /^gue_port fail: .*--gue-port 6081/);
  t.deepEqual(wrong(checkPorts({ ...ports, sockets, rules: { ...mapped, guePort: null } })), []);
});

const count = (reason: string, verdict: Count['verdict'], packets: number): Count => ({
  reason,
  verdict,
  packets: BigInt(packets),
  bytes: 0n,
});

test('what came, and what was lost, is told with its cause', (t) => {
  const facts = (before: readonly Count[], after: readonly Count[]): TrafficFacts => ({
    ...good,
    before,
    after,
    watchedMs: 1000,
  });
  const quiet = [
    count('pass_not_tunnel', 'pass', 5),
    count('stripped_4in4', 'strip', 10),
    count('drop_fragment', 'drop', 0),
  ];
  t.regex(wrong(checkTraffic(facts(quiet, quiet)))[0] ?? '', /^traffic warn/);
  const busy = [count('pass_not_tunnel', 'pass', 9), count('stripped_4in4', 'strip', 12), count('pass_vip', 'pass', 1)];
  t.deepEqual(wrong(checkTraffic(facts(quiet, busy))), []);
  t.is(checkTraffic(facts(quiet, busy))[0]?.detail, 'in 1 s: 2 stripped_4in4, 1 pass_vip');
  const losing = [...busy, count('drop_fragment', 'drop', 3)];
  t.regex(
    wrong(checkTraffic(facts(busy, losing)))[1] ?? wrong(checkTraffic(facts(busy, losing))).at(-1)!,
    /^drop_fragment fail/,
  );
  t.regex(wrong(checkTraffic(facts(losing, losing))).at(-1)!, /^drop_fragment warn/);
  t.deepEqual(checkTraffic({ ...facts([], []), mode: null }), []);
});

test('sockets are read as /proc has them', (t) => {
  const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200000A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0200000A:1F90 0100000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
`;
  t.deepEqual(parseSockets(tcp, 'tcp'), [{ protocol: 'tcp', address: '10.0.0.2', port: 8080 }]);
  const udp6 = `  sl  local_address                         remote_address                        st
   0: 000066FD000000000000000002000000:17C0 00000000000000000000000000000000:0000 07 00000000:00000000
   1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000
`;
  t.deepEqual(parseSockets(udp6, 'udp'), [
    { protocol: 'udp', address: 'fd66::2', port: 6080 },
    { protocol: 'udp', address: '::', port: 53 },
  ]);
});

test('reserved ports are single ones and ranges', (t) => {
  const is = (port: number) => isReserved('8080,9000-9010', port);
  t.deepEqual([8079, 8080, 8081, 8999, 9000, 9005, 9010, 9011].filter(is), [8080, 9000, 9005, 9010]);
  t.false(isReserved('', 0));
});
