import type { Input, messages } from '../../../src/api/client.js';

export interface Size {
  readonly listeners: number;
  readonly backends: number;
}

export const CHECK_PORT = 8080;
const PER_BALANCER = 20;
const FIRST_PORT = 80;

/** The first LoadBalancer's VIP and first port are those of the driver's frames. */
const vipOf = (balancer: number): string => `192.0.2.${10 + balancer}`;
/** 172.16.0.1 and up, an address for each backend of each group. */
const addressOf = (index: number): string => `172.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

export function addressesOf({ listeners, backends }: Size): string[] {
  return Array.from({ length: listeners * backends }, (_, i) => addressOf(i + 1));
}

/** Backends with health checks: those of the first LoadBalancer. */
export function checkedBackends({ backends }: Size): number {
  return PER_BALANCER * backends;
}

/** LoadBalancers of 20 listeners; every listener has a group of its own, every backend an address of its own. */
export function desiredState({ listeners, backends }: Size): Input<messages.Config> {
  const indices = Array.from({ length: listeners }, (_, i) => i);
  const listener = (i: number): Input<messages.Listener> => ({
    protocol: 'TCP',
    port: FIRST_PORT + (i % PER_BALANCER),
    backendGroup: groupName(i),
    scheduler: 'TCH',
    healthCheck: i < PER_BALANCER ? healthCheck : null,
  });
  return {
    loadBalancers: Array.from({ length: Math.ceil(listeners / PER_BALANCER) }, (_, balancer) => ({
      name: `lb${balancer}`,
      addresses: [vipOf(balancer)],
      listeners: indices.slice(balancer * PER_BALANCER, (balancer + 1) * PER_BALANCER).map(listener),
    })),
    backendGroups: indices.map((i) => ({
      name: groupName(i),
      forwarding: 'L2_DSR',
      backends: Array.from({ length: backends }, (_, member) => ({
        name: `be${member}`,
        address: addressOf(i * backends + member + 1),
        weight: 100,
      })),
    })),
  };
}

export function groupName(index: number): string {
  return `group${index}`;
}

const healthCheck: Input<messages.HealthCheck> = {
  tcp: {},
  port: CHECK_PORT,
  interval: { seconds: 2 },
  timeout: { seconds: 2 },
  rise: 1,
  fall: 3,
  target: 'BACKEND_ADDRESS',
};
