/** A backend on which nothing is wrong. */
import type { Facts } from '../../../src/backend/checks/check.js';
import type { HostInterface } from '../../../src/backend/host.js';

export const eth0: HostInterface = {
  name: 'eth0',
  ifindex: 2,
  mac: '02:00:00:00:00:11',
  mtu: 1600,
  up: true,
  addresses: ['10.0.0.2', 'fd66::2'],
};

export const lo: HostInterface = {
  name: 'lo',
  ifindex: 1,
  mac: null,
  mtu: 65536,
  up: true,
  addresses: ['127.0.0.1', '198.51.100.7', '2001:db8::7'],
};

const settings: Readonly<Record<string, number>> = {
  'net/ipv4/conf/all/arp_ignore': 1,
  'net/ipv4/conf/all/arp_announce': 2,
  'net/ipv4/ip_forward': 0,
  'net/ipv6/conf/all/forwarding': 0,
  'net/ipv6/conf/all/disable_ipv6': 0,
  'net/ipv6/conf/lo/disable_ipv6': 0,
  'net/ipv6/conf/eth0/disable_ipv6': 0,
};

export const good: Facts = {
  target: eth0,
  interfaces: [lo, eth0],
  mode: 'native',
  instance: 'backend-eth0',
  rules: {
    macs: ['02:00:00:00:00:11'],
    ifindex: 2,
    from: [],
    onlyVips: false,
    vips: ['198.51.100.7', '2001:db8::7'],
    mappings: [],
    exempt: [],
    guePort: 6080,
    clamp: 'off',
  },
  overheads: new Map(),
  out: ['eth0'],
  asked: [],
  setting: (path) => settings[path] ?? null,
  defaultRoutes: null,
};
