import test from 'ava';
import { checkHost, type Facts } from '../../../src/backend/checks.js';
import type { HostInterface } from '../../../src/backend/host.js';

const eth0: HostInterface = {
  name: 'eth0',
  ifindex: 2,
  mac: '02:00:00:00:00:11',
  mtu: 1600,
  up: true,
  addresses: ['10.0.0.2'],
};
const lo: HostInterface = {
  name: 'lo',
  ifindex: 1,
  mac: null,
  mtu: 65536,
  up: true,
  addresses: ['127.0.0.1', '198.51.100.7', '2001:db8::7'],
};
const settings: Readonly<Record<string, number>> = { 'all.arp_ignore': 1, 'all.arp_announce': 2, 'all.rp_filter': 0 };

const good: Facts = {
  target: eth0,
  interfaces: [lo, eth0],
  mode: 'native',
  rules: { macs: ['02:00:00:00:00:11'], from: [], vips: [] },
  vips: ['198.51.100.7', '2001:db8::7'],
  ipv4Setting: (name, key) => settings[`${name}.${key}`] ?? null,
};

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
    'mac fail: spillway backend attach --interface eth0',
  ]);
  t.deepEqual(found({ vips: ['2001:db8::8'] }), ['vip fail: ip address add 2001:db8::8/128 dev lo']);
  t.deepEqual(found({ interfaces: [eth0, { ...lo, addresses: [] }], vips: ['10.0.0.2'] }), [
    'vip warn: ip address add 10.0.0.2/32 dev lo',
  ]);
  t.regex(found({ target: { ...eth0, mtu: 1500 } })[0] ?? '', /^mtu warn: ip link set dev eth0 mtu 1540/);
  t.regex(found({ mode: 'generic' })[0] ?? '', /^mode warn/);
});

test('the larger of the setting of all interfaces and of this one is in force', (t) => {
  const ipv4Setting = (name: string, key: string) =>
    name === 'eth0' ? ({ arp_ignore: 1, arp_announce: 2 }[key] ?? 0) : 0;
  t.deepEqual(found({ ipv4Setting }), []);
  const strict = (name: string, key: string) =>
    key === 'rp_filter' && name === 'eth0.7' ? 1 : good.ipv4Setting(name, key);
  const vlan = { ...eth0, name: 'eth0.7' };
  t.deepEqual(found({ ipv4Setting: strict, target: vlan }), [
    'rp_filter warn: sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.eth0/7.rp_filter=2',
  ]);
});

test('ARP settings fail a host with IPv4 VIPs, do not concern one with IPv6 alone, and warn where no VIP is known', (t) => {
  const unset = () => 0;
  const arp = (vips: readonly string[]) => found({ ipv4Setting: unset, vips }).map((line) => line.split(':')[0]);
  t.deepEqual(arp(['198.51.100.7']), ['arp_ignore fail', 'arp_announce fail']);
  t.deepEqual(arp(['2001:db8::7']), []);
  t.deepEqual(arp([]), ['arp_ignore warn', 'arp_announce warn']);
});
