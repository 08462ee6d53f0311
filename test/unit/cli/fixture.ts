import { codec, type Input, type messages } from '../../../src/api/client.js';

/** 2026-01-02 03:04:05Z */
export const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

export function ago(seconds: number): messages.Timestamp {
  return { seconds: BigInt(nowMs / 1000 - seconds), nanos: 0 };
}

function traffic(packets: bigint, activeSessions: bigint): Input<messages.Traffic> {
  return { packets, bytes: packets * 1024n, newSessions: packets / 10n, activeSessions };
}

/** As it comes from the wire, every field there. */
export function statusMessage(change: Input<messages.Status> = {}): messages.Status {
  const { encode, decode } = codec('spillway.v1.Status');
  return decode(encode({ ...statusInput(), ...change }));
}

export function statusInput(scale = 1n): Input<messages.Status> {
  return {
    node: {
      instance: 'default',
      hostname: 'lb1',
      version: '0.1.0',
      pid: 4242,
      startedAt: ago(273_600),
      attachments: [
        { interface: 'eth0', mode: 'native', attached: true, mac: '02:00:5e:10:00:01', mtu: 1500 },
        {
          interface: 'eth1',
          mode: 'generic',
          attached: true,
          mac: '02:00:5e:10:00:02',
          mtu: 9000,
          fallbackReason: 'driver has no XDP',
          serves: ['eth1.10', 'eth1.20'],
        },
      ],
    },
    configVersion: 7,
    configAppliedAt: ago(300),
    sessionTable: {
      slots: 4_194_304,
      young: 3000,
      established: 1_201_000,
      closing: 500,
      inserted: 5_000_000,
      evictedYoung: 12,
    },
    loadBalancers: [
      {
        loadBalancer: 'dns',
        limit: {
          limits: { newSessionsPerSecond: 500 },
          newSessionsPerSecond: 500,
          refused: { connectionRate: 90_000 },
        },
      },
    ],
    listeners: [
      {
        loadBalancer: 'web',
        listener: 'https',
        addresses: ['192.0.2.1', '2001:db8::1'],
        protocol: 'TCP',
        port: 443,
        backendGroup: 'pool',
        forwarding: 'IPIP',
        scheduler: 'TCH',
        backendsTotal: 3,
        backendsHealthy: 2,
        traffic: traffic(1_234_567n * scale, 1_204_500n),
        accessControl: { mode: 'DENY', accessList: 'bots' },
        limit: {
          limits: { sessions: 2_000_000, newSessionsPerSecondPerSource: 20 },
          sessions: 1_204_500,
          newSessionsPerSecond: 3100,
          bitsPerSecond: 2_400_000_000,
          packetsPerSecond: 410_000,
          refused: { accessDenied: 4021, sourceRate: 17 },
        },
        backends: [
          {
            name: 'be1',
            address: '203.0.113.11',
            weight: 100,
            effectiveWeight: 100,
            health: 'HEALTHY',
            up: true,
            since: ago(86_400),
            lastCheckDuration: { seconds: 0n, nanos: 1_500_000 },
            traffic: traffic(1_000_000n * scale, 1_000_000n),
          },
          {
            name: 'be2',
            address: '203.0.113.12',
            weight: 50,
            effectiveWeight: 50,
            health: 'UNHEALTHY',
            reason: 'connect: ECONNREFUSED',
            since: ago(42),
            lastCheckDuration: { seconds: 0n, nanos: 350_000 },
            traffic: traffic(234_000n, 4500n),
            history: [
              { at: ago(42), from: 'HEALTHY', to: 'UNHEALTHY', reason: 'connect: ECONNREFUSED' },
              { at: ago(86_400), from: 'UNKNOWN', to: 'HEALTHY', reason: '3 checks passed' },
            ],
          },
          {
            name: 'be3',
            address: '2001:db8:b::3',
            weight: 0,
            draining: true,
            health: 'UNCHECKED',
            up: true,
            traffic: traffic(567n, 200_000n),
          },
        ],
      },
      {
        loadBalancer: 'dns',
        listener: 'udp-53',
        addresses: ['192.0.2.53'],
        protocol: 'UDP',
        port: 53,
        backendGroup: 'resolvers',
        forwarding: 'L2_DSR',
        scheduler: 'SCH',
        failingOpen: true,
        backendsTotal: 1,
        traffic: traffic(20_000n * scale, 12n),
        backends: [
          { name: 'r1', address: '203.0.113.53', weight: 100, effectiveWeight: 100, health: 'UNKNOWN', up: true },
        ],
      },
    ],
    reasons: [
      { reason: 'not_vip', packets: 123_456n * scale, help: 'to none of the VIPs' },
      { reason: 'echo_answered', packets: 4n * scale, help: 'a ping, answered' },
      { reason: 'no_listener', drop: true, packets: 5n * scale, help: 'no listener takes this port' },
      {
        reason: 'bad_checksum',
        drop: true,
        packets: 70n,
        help: 'IPv4 header checksum',
        lastSample: {
          at: ago(9),
          source: '198.51.100.7',
          destination: '192.0.2.1',
          sourcePort: 40_000,
          destinationPort: 443,
          ipProtocol: 6,
          length: 60,
        },
      },
      { reason: 'stopped', drop: true, help: 'the listener is stopped' },
    ],
    reconciliation: { lastAt: ago(3), runs: 9, repairs: 1 },
    problems: ['dns/udp-53: all backends are unhealthy, failing open'],
  };
}
