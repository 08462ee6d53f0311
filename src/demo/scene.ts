import type { Input, messages } from '../api/client.js';

/** Who plays: the hosts are those of scripts/lab, the load balancers one for each way to reach a backend. */

export const balancers = ['lb1', 'lb2'] as const;
export type Balancer = (typeof balancers)[number];

export const backends = ['be1', 'be2', 'be3'] as const;
export type BackendName = (typeof backends)[number];

export const httpPort = 80;
export const echoPort = 7;
/** 64 MiB. */
export const transferBytes = 64 * 1024 * 1024;
export const checkIntervalMs = 200;
export const checkThreshold = 2;
const udpTimeoutMs = 500;

const backendAddresses = {
  4: { be1: '203.0.113.21', be2: '203.0.113.22', be3: '203.0.113.23' },
  6: { be1: '2001:db8:200::21', be2: '2001:db8:200::22', be3: '2001:db8:200::23' },
} as const;

export interface Service {
  /** Of its LoadBalancer and of its BackendGroup. */
  readonly name: string;
  readonly vip: string;
  readonly forwarding: 'L2_DSR' | 'IPIP';
  readonly backendFamily: 4 | 6;
  readonly words: string;
}

export const services: readonly Service[] = [
  { name: 'l2-v4', vip: '192.0.2.10', forwarding: 'L2_DSR', backendFamily: 4, words: 'L2_DSR, IPv4' },
  { name: 'l2-v6', vip: '2001:db8:10::10', forwarding: 'L2_DSR', backendFamily: 6, words: 'L2_DSR, IPv6' },
  { name: 'ipip-v4', vip: '192.0.2.11', forwarding: 'IPIP', backendFamily: 4, words: 'IPIP, IPv4 in IPv4' },
  { name: 'ipip-v6', vip: '2001:db8:10::11', forwarding: 'IPIP', backendFamily: 6, words: 'IPIP, IPv6 in IPv6' },
  { name: 'ipip-v4-in-v6', vip: '192.0.2.12', forwarding: 'IPIP', backendFamily: 6, words: 'IPIP, IPv4 in IPv6' },
];

export const vips = services.map(({ vip }) => vip);

export function urlOf({ vip }: Service): string {
  return `http://${vip.includes(':') ? `[${vip}]` : vip}:${httpPort}/`;
}

const check: Input<messages.HealthCheck> = {
  interval: { seconds: 0, nanos: checkIntervalMs * 1_000_000 },
  rise: checkThreshold,
  fall: checkThreshold,
};

/** What both agents are told by gRPC. */
export function desiredState(): Input<messages.Config> {
  return {
    loadBalancers: services.map(({ name, vip, words }) => ({
      name,
      description: words,
      addresses: [vip],
      listeners: [
        {
          name: 'http',
          protocol: 'TCP',
          port: httpPort,
          backendGroup: name,
          healthCheck: {
            ...check,
            timeout: { seconds: 1 },
            http: { method: 'GET', path: '/health', expectedCodes: ['200'] },
          },
        },
        {
          name: 'echo',
          protocol: 'UDP',
          port: echoPort,
          backendGroup: name,
          healthCheck: {
            ...check,
            timeout: { nanos: udpTimeoutMs * 1_000_000 },
            udp: { request: Buffer.from('ping'), expectedReply: Buffer.from('ping') },
          },
        },
      ],
    })),
    backendGroups: services.map(({ name, forwarding, backendFamily }) => ({
      name,
      forwarding,
      backends: backends.map((backend) => ({ name: backend, address: backendAddresses[backendFamily][backend] })),
    })),
  };
}
