import type { Route } from '../../../src/bgp/types.js';
import type { BgpNeighbor, BirdConfig } from '../../../src/config/cluster.js';

export function route(vip: string, more: Partial<Route> = {}): Route {
  return { vip, preference: 'primary', med: null, prepend: 0, communities: [], ...more };
}

export function neighbor(address: string, more: Partial<BgpNeighbor> = {}): BgpNeighbor {
  return { address, as: 65000, passwordFile: null, multihop: 0, port: 179, ...more };
}

export function configOf(more: Partial<BirdConfig> = {}): BirdConfig {
  return {
    kind: 'bird',
    localAs: 4_200_000_001,
    routerId: '203.0.113.11',
    localAddress4: null,
    localAddress6: null,
    neighbors: [neighbor('203.0.113.1'), neighbor('2001:db8:200::1')],
    bfd: { intervalMs: 100, multiplier: 3 },
    holdTimeSeconds: 9,
    primary: { med: null, prepend: 0, communities: [] },
    secondary: { med: 100, prepend: 2, communities: [] },
    binary: '/usr/sbin/bird',
    socket: '/run/spillway/bird.ctl',
    configFile: '/run/spillway/bird.conf',
    supervise: false,
    ...more,
  };
}
