import { Agent, type LbName } from './agent.js';
import type { BackendMethods } from './backend.js';
import type { ClientMethods } from './client.js';
import type { ConfigInput } from './desired.js';
import { type BackendName, backendNames, Lab, type Topology, vip4, vip6 } from './lab.js';
import type { Peer } from './peer.js';
import { until } from './until.js';

export const echoPort = 7;

export interface ClusterOptions {
  /** Ports that the backends serve HTTP on; 80 when left out. */
  readonly http?: readonly number[];
  /** Addresses of their UDP echo; the first VIPs when left out. */
  readonly vips?: readonly string[];
  readonly topology?: Topology;
  /** More of an agent's own configuration. */
  readonly settings?: (host: LbName) => Readonly<Record<string, unknown>>;
}

/** A lab with both agents running, servers on all backends and a client: what a deployment is in the small. */
export class Cluster {
  private constructor(
    readonly lab: Lab,
    readonly agents: readonly [Agent, Agent],
    readonly backends: Readonly<Record<BackendName, Peer<BackendMethods>>>,
    readonly client: Peer<ClientMethods>,
  ) {}

  /** On failure the lab is taken down again. */
  static async start(name: string, options: ClusterOptions = {}): Promise<Cluster> {
    const lab = await Lab.up(name, options.topology);
    try {
      const agentOn = (host: LbName): Agent => new Agent(lab, host, options.settings?.(host));
      const agents = [agentOn('lb1'), agentOn('lb2')] as const;
      const backends = { be1: lab.backend('be1'), be2: lab.backend('be2'), be3: lab.backend('be3') };
      const servers = { tcp: options.http ?? [80], udp: echoPort, vips: options.vips ?? [vip4, vip6] };
      await Promise.all([
        ...agents.map((agent) => agent.start()),
        ...backendNames.map((backend) => backends[backend].call('start', { name: backend, ...servers })),
      ]);
      return new Cluster(lab, agents, backends, lab.client());
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** On both load balancers. */
  async apply(config: ConfigInput): Promise<void> {
    await Promise.all(this.agents.map(({ client }) => client.config.apply({ config })));
  }

  /** On both load balancers. */
  async setWeight(backendGroup: string, name: string, weight: number): Promise<void> {
    const request = { backendGroup, backend: { name, weight }, updateMask: { paths: ['weight'] } };
    await Promise.all(this.agents.map(({ client }) => client.config.updateBackend(request)));
  }

  /** Both load balancers find every backend of every listener healthy. */
  async allHealthy(): Promise<void> {
    await until(
      'all backends are healthy on both load balancers',
      async () => {
        const states = await Promise.all(this.agents.map(({ client }) => client.status.get({ summary: true })));
        return states.every(({ listeners }) =>
          listeners.every(({ backendsHealthy, backendsTotal }) => backendsHealthy === backendsTotal),
        );
      },
      { withinMs: 20_000 },
    );
  }

  async close(): Promise<void> {
    await Promise.allSettled([
      ...this.agents.map((agent) => agent.stop()),
      ...Object.values(this.backends).map((peer) => peer.close()),
      this.client.close(),
    ]);
    await this.lab.down();
  }
}
