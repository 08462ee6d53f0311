import type { ClusterNode, ClusterStatus } from '../../../src/api/cluster_port.js';
import type { BackendStatus, ListenerStatus, Status } from '../../../src/api/port.js';

const atMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function backend(name: string, change: Partial<BackendStatus> = {}): BackendStatus {
  return {
    name,
    address: '203.0.113.11',
    weight: 100,
    effectiveWeight: 100,
    zone: 'a',
    health: 'healthy',
    agreedHealth: 'healthy',
    up: true,
    draining: false,
    nextHopMac: '02:00:5e:10:00:0b',
    egressInterface: 'eth0',
    egressVlan: 0,
    reason: '',
    sinceMs: atMs,
    lastCheckUs: 1500,
    traffic: { packets: 10n, bytes: 9007199254740993n, newSessions: 2n, packetsWithoutSession: 0n, activeSessions: 1 },
    history: [],
    ...change,
  };
}

export function listener(name: string, backends: readonly BackendStatus[]): ListenerStatus {
  return {
    loadBalancer: 'web',
    listener: name,
    addresses: ['192.0.2.1'],
    protocol: 'tcp',
    port: 443,
    backendGroup: 'pool',
    forwarding: 'IPIP',
    scheduler: 'TCH',
    stopped: false,
    traffic: { packets: 20n, bytes: 3000n, newSessions: 4n, packetsWithoutSession: 1n, activeSessions: 3 },
    backends,
    backendsTotal: backends.length,
    backendsHealthy: backends.filter((one) => one.health === 'healthy').length,
    failingOpen: false,
    accessControl: null,
    limit: null,
  };
}

export function status(listeners: readonly ListenerStatus[]): Status {
  return {
    node: {
      instance: 'default',
      hostname: 'lb1',
      version: '0.1.0',
      startedAtMs: atMs,
      pid: 42,
      attachments: [
        { interface: 'eth0', mode: 'native', attached: true, mac: '', mtu: 1500, fallbackReason: '', serves: ['eth0'] },
      ],
    },
    configVersion: 7,
    configAppliedAtMs: atMs,
    sessionTable: {
      slots: 4096,
      young: 1,
      established: 2,
      closing: 0,
      countedAtMs: null,
      events: {
        inserted: 5n,
        moved: 0n,
        reused_expired: 0n,
        evicted_closing: 0n,
        evicted_young: 0n,
        evicted_old: 0n,
        not_tracked: 0n,
        reselected: 0n,
      },
    },
    loadBalancers: [],
    listeners,
    reasons: [
      { reason: 'no_listener', drop: true, packets: 3n, help: '', lastSample: null },
      { reason: 'not_vip', drop: false, packets: 8n, help: '', lastSample: null },
      { reason: 'echo_answered', drop: false, packets: 2n, help: '', lastSample: null },
    ],
    reconciliation: { lastAtMs: atMs, runs: 9, repairs: 1, failures: 0, lastError: '' },
    problems: [],
  };
}

export function node(name: string, change: Partial<ClusterNode> = {}): ClusterNode {
  return {
    name,
    zone: 'a',
    life: 'active',
    self: false,
    alive: true,
    address: '10.0.0.2',
    version: '0.1.0',
    configVersion: 7n,
    configDigest: 1n,
    configDiffers: false,
    sessions: 100,
    announced: 2,
    suspect: false,
    startedAtMs: atMs,
    lastHeardMs: atMs,
    lagMs: 2.5,
    datagrams: 9007199254740993n,
    missed: 3n,
    repaired: 2n,
    givenUp: 1n,
    ...change,
  };
}

/** lb1, and its peer lb2; sync on, BIRD with a neighbor of each family. */
export function cluster(change: Partial<ClusterStatus> = {}): ClusterStatus {
  const silent = { datagrams: 0n, missed: 0n, repaired: 0n, givenUp: 0n };
  return {
    nodes: [node('lb1', { self: true, address: '', lastHeardMs: null, lagMs: null, ...silent }), node('lb2')],
    routes: {
      kind: 'bird',
      vips: [
        { vip: '192.0.2.1', loadBalancer: 'web', announce: true, preference: 'primary', reason: '' },
        { vip: '2001:db8::1', loadBalancer: 'web', announce: false, preference: 'secondary', reason: 'no backend' },
      ],
      neighbors: [
        { address: '10.0.0.254', state: 'Established', bfd: 'up', sinceMs: atMs, routesExported: 1 },
        { address: 'fd00::254', state: 'Active', bfd: 'off', sinceMs: null, routesExported: 0 },
      ],
    },
    sync: { datagramsSent: 5n, recordsApplied: 9007199254740993n, droppedReplayed: 4n, rateLimited: 6n, missed: 3n },
    problems: ['lb3 is silent'],
    ...change,
  };
}
