/** Desired states as the tests apply them. */
import type { Input, messages } from '../../../src/api/client.js';
import { address4, address6, type BackendName, back4, back6, backendNames, vip4, vip6 } from './lab.js';

export type ConfigInput = Input<messages.Config>;
export type ListenerInput = Input<messages.Listener>;
export type HealthCheckInput = Input<messages.HealthCheck>;

export const ms = (count: number): Input<messages.Duration> => ({
  seconds: Math.floor(count / 1000),
  nanos: (count % 1000) * 1_000_000,
});

/** Quick, and patient with a machine that has other work. */
export const quickCheck: HealthCheckInput = {
  http: { method: 'GET' },
  interval: ms(200),
  timeout: ms(1000),
  rise: 2,
  fall: 3,
};

export type ForwardingName = 'L2_DSR' | 'IPIP' | 'GUE';

export function group(
  name: string,
  options: {
    forwarding?: ForwardingName;
    family?: 4 | 6;
    /** The second network: see Topology. */
    network?: 'back';
    weights?: Partial<Record<BackendName, number>>;
    members?: readonly BackendName[];
  } = {},
): Input<messages.BackendGroup> {
  const [four, six] = options.network === 'back' ? [back4, back6] : [address4, address6];
  const addresses = options.family === 6 ? six : four;
  return {
    name,
    forwarding: options.forwarding ?? 'L2_DSR',
    backends: (options.members ?? backendNames).map((backend) => ({
      name: backend,
      address: addresses[backend],
      weight: options.weights?.[backend] ?? 100,
    })),
  };
}

/** One LoadBalancer `web` on the first VIPs. */
export function web(
  listeners: readonly ListenerInput[],
  groups: readonly Input<messages.BackendGroup>[],
  addresses: readonly string[] = [vip4, vip6],
): ConfigInput {
  return { loadBalancers: [{ name: 'web', addresses, listeners }], backendGroups: groups };
}

export function tcp(port: number, backendGroup: string, more: ListenerInput = {}): ListenerInput {
  return { protocol: 'TCP', port, backendGroup, ...more };
}

export function udp(port: number, backendGroup: string, more: ListenerInput = {}): ListenerInput {
  return { protocol: 'UDP', port, backendGroup, ...more };
}
