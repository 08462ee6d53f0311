import test from 'ava';
import type { Facts } from '../../../src/backend/checks/check.js';
import { checkHost } from '../../../src/backend/checks/host.js';
import type { PortMapping } from '../../../src/backend/mapping.js';
import type { Rules } from '../../../src/backend/rules.js';
import { eth0, good, lo } from './facts.js';

function found(change: Partial<Facts>): readonly string[] {
  return checkHost({ ...good, ...change })
    .filter(({ level }) => level !== 'ok')
    .map(({ name, level, remedy }) => `${name} ${level}: ${remedy}`);
}

test('a host that is set up has nothing to mend', (t) => {
  t.deepEqual(found({}), []);
});

test('each thing that is wrong is named with what mends it', (t) => {
  t.deepEqual(found({ target: { ...eth0, up: false } }), ['interface fail: ip link set dev eth0 up']);
  t.deepEqual(found({ target: { ...eth0, mac: '02:00:00:00:00:12' } }), [
    'mac fail: spillway backend attach --interface eth0 --clamp-mss off',
  ]);
  t.deepEqual(found({ asked: ['2001:db8::8'] }), ['vip fail: ip address add 2001:db8::8/128 dev lo']);
  t.deepEqual(found({ interfaces: [eth0, { ...lo, addresses: [] }], rules: { ...good.rules, vips: ['10.0.0.2'] } }), [
    'vip warn: ip address del 10.0.0.2 dev eth0; ip address add 10.0.0.2/32 dev lo',
  ]);
  t.regex(found({ mode: 'generic' })[0] ?? '', /^mode warn/);
  t.deepEqual(found({ out: [] }), ['replies fail: spillway backend attach --interface eth0 --clamp-mss off']);
});

test('too small an MTU is to be mended where nothing makes clients send less; what is wanted is what was seen', (t) => {
  const small = { target: { ...eth0, mtu: 1500 } };
  const wanted = (change: Partial<Facts>) => {
    const mtu = checkHost({ ...good, ...small, ...change }).find(({ name }) => name === 'mtu');
    return /need (\d+)/.exec(mtu?.consequence ?? '')?.[1];
  };
  t.is(wanted({}), '1548');
  t.is(wanted({ overheads: new Map([['198.51.100.7', 20]]) }), '1520');
  t.deepEqual(found({ ...small, rules: { ...good.rules, clamp: 'auto' } }), []);
  t.deepEqual(found({ ...small, rules: { ...good.rules, clamp: 1400 } }), []);
  t.is(wanted({ rules: { ...good.rules, clamp: 'auto' }, out: [] }), '1548');
  const offering = (family: 4 | 6, advmss: number | null) => ({ family, device: 'eth0', advmss });
  t.is(wanted({ defaultRoutes: [offering(4, null)] }), '1548');
  t.is(wanted({ defaultRoutes: [offering(4, 1412), offering(6, 1400)] }), '1548');
  t.deepEqual(found({ ...small, defaultRoutes: [offering(4, 1412), offering(6, 1392)] }), []);
});

test('a VIP whose ports are mapped need not be on the host; the address that they are mapped to must be', (t) => {
  const mapping: PortMapping = { protocol: 'tcp', vip: '198.51.100.9', vipPort: 80, host: '10.0.0.2', hostPort: 8080 };
  const rules = { ...good.rules, vips: ['198.51.100.9'], mappings: [mapping] };
  t.deepEqual(found({ rules, interfaces: [{ ...lo, addresses: [] }, eth0], setting: () => 0 }), []);
  const gone = found({ rules, interfaces: [lo, { ...eth0, addresses: [] }] });
  t.regex(gone.join('\n'), /^map fail: ip address add 10\.0\.0\.2\/24 dev/m);
});

test('a VIP that came to lo after the attach is told of, with the attach that made the rest', (t) => {
  const late = { ...lo, addresses: [...lo.addresses, '198.51.100.8'] };
  const mapping: PortMapping = {
    protocol: 'udp',
    vip: '2001:db8::7',
    vipPort: 53,
    host: '2001:db8::7',
    hostPort: 5353,
  };
  const from = [{ address: '203.0.113.0', bits: 24 }];
  const exempt = [{ address: '203.0.113.11', bits: 32 }];
  const rules: Rules = { ...good.rules, from, exempt, mappings: [mapping], guePort: null, clamp: 1400 };
  t.deepEqual(found({ interfaces: [late, eth0], rules, instance: 'blue', out: ['eth0', 'eth1'] }), [
    'vip warn: spillway backend attach --interface eth0 --instance blue --from 203.0.113.0/24 ' +
      '--map udp:[2001:db8::7]:53=[2001:db8::7]:5353 --map-exempt 203.0.113.11/32 --gue-port off --clamp-mss 1400 ' +
      '--out eth0 eth1',
  ]);
  t.deepEqual(found({ interfaces: [late, eth0], rules: { ...good.rules, onlyVips: true } }), []);
});

test('the larger of the setting of all interfaces and of this one is in force', (t) => {
  const setting = (path: string) => Number({ arp_ignore: 1, arp_announce: 2 }[path.split('/')[4] ?? ''] ?? 0);
  t.deepEqual(found({ setting: (path) => (path.includes('/eth0/') ? setting(path) : 0) }), []);
  t.deepEqual(found({ setting: (path) => (path.includes('/all/') ? setting(path) : 0) }), []);
  const strict = (path: string) => (path === 'net/ipv4/conf/eth0.7/rp_filter' ? 1 : good.setting(path));
  const vlan = { ...eth0, name: 'eth0.7' };
  const remedy = 'sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth0/7.rp_filter=2';
  t.deepEqual(found({ setting: strict, target: vlan }), [`rp_filter warn: ${remedy}`]);
  const by = (device: string) => ({ defaultRoutes: [{ family: 4 as const, device, advmss: null }] });
  t.deepEqual(found({ setting: strict, target: vlan, ...by('eth1') }), [`rp_filter fail: ${remedy}`]);
  t.deepEqual(found({ setting: strict, target: vlan, ...by('eth0.7') }), []);
});

test('of the ways not to answer ARP, 3 is none: it answers for addresses of global scope', (t) => {
  const ignoring = (value: number) =>
    found({ setting: (path) => (path.endsWith('arp_ignore') ? value : good.setting(path)) }).length;
  t.deepEqual([0, 1, 2, 3, 8].map(ignoring), [1, 0, 0, 1, 0]);
});

test('ARP settings fail a host with IPv4 VIPs, do not concern one with IPv6 alone, and warn where no VIP is known', (t) => {
  const arp = (vips: readonly string[]) =>
    found({ setting: () => 0, interfaces: [{ ...lo, addresses: vips }, eth0], rules: { ...good.rules, vips } }).map(
      (line) => line.split(':')[0],
    );
  t.deepEqual(arp(['198.51.100.7']), ['arp_ignore fail', 'arp_announce fail']);
  t.deepEqual(arp(['2001:db8::7']), []);
  t.deepEqual(arp([]), ['arp_ignore warn', 'arp_announce warn']);
});

test('without a program only the host itself is checked', (t) => {
  t.deepEqual(found({ mode: null, out: [], rules: { ...good.rules, macs: [] }, target: { ...eth0, mtu: 1500 } }), []);
});
