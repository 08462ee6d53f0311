import type { ClusterStatus } from '../../src/api/cluster_port.js';

/** Two nodes, of which the other drains, lags and wants an older state. */
export function clusterStatus(): ClusterStatus {
  const here = {
    name: 'lb1',
    zone: 'a',
    life: 'active',
    self: true,
    alive: true,
    address: '',
    version: '0.1.0',
    configVersion: 7n,
    configDigest: 1n,
    configDiffers: false,
    sessions: 1_234_567,
    announced: 2,
    suspect: false,
    startedAtMs: 1_700_000_000_000,
    lastHeardMs: null,
    lagMs: null,
    datagrams: 0n,
    missed: 0n,
    repaired: 0n,
    givenUp: 0n,
  } as const;
  return {
    nodes: [
      here,
      {
        ...here,
        name: 'lb2',
        zone: 'b',
        life: 'draining',
        self: false,
        address: '192.0.2.12',
        configVersion: 6n,
        configDigest: 0xffff_ffff_ffff_ffffn,
        configDiffers: true,
        announced: 0,
        suspect: true,
        lastHeardMs: 1_700_000_000_250,
        lagMs: 1.5,
        datagrams: 1000n,
        missed: 3n,
        repaired: 2n,
        givenUp: 1n,
      },
    ],
    routes: {
      kind: 'bird',
      vips: [
        { vip: '192.0.2.1', loadBalancer: 'web', announce: true, preference: 'primary', reason: '' },
        {
          vip: '2001:db8::1',
          loadBalancer: 'web',
          announce: false,
          preference: 'secondary',
          reason: 'no healthy backend',
        },
      ],
      neighbors: [
        { address: '198.51.100.1', state: 'Established', bfd: 'up', sinceMs: 1_700_000_000_000, routesExported: 1 },
      ],
    },
    sync: { datagramsSent: 12n, rateLimited: 0n },
    problems: ['lb2 wants another state'],
  };
}
