/** A cluster in the lab with a load on it: what the events happen to. */
import { readFileSync } from 'node:fs';
import { Agent, type LbName } from '../../support/lab/agent.js';
import { type ConfigInput, group, ms, tcp, udp } from '../../support/lab/desired.js';
import { type BackendName, backendNames, Lab, vip4, vip6 } from '../../support/lab/lab.js';
import { until } from '../../support/lab/until.js';
import { Echo } from './echo.js';
import { prepareFilters } from './faults.js';
import { Load } from './load.js';

export const vips = [vip4, vip6] as const;
export const tcpPort = 80;
export const udpPort = 7;
const sources4 = ['198.51.100.2', '198.51.100.101', '198.51.100.102', '198.51.100.103'];
const sources6 = ['2001:db8:100::2', '2001:db8:100::101'];

export interface BedOptions {
  readonly name: string;
  /** Four nodes in two zones instead of three in none. */
  readonly zones: boolean;
  readonly connections: number;
  readonly perSecond: number;
  /** Of datagrams. */
  readonly flows: number;
  /** Another checkout, whose agents run until they are upgraded; null: this one's. */
  readonly from: string | null;
  readonly say: (line: string) => void;
}

/** Weights of the backends that are in the group; those left out are not. */
export type Weights = Partial<Record<BackendName, number>>;
export const allBackends: Weights = { be1: 100, be2: 100, be3: 100 };

export class Bed {
  readonly agents = new Map<LbName, Agent>();
  readonly echoes = new Map<BackendName, Echo>();
  /** That the router should send to, and whose tables should be equal. */
  announcing: LbName[];
  live: LbName[];
  /** Those that are cut off from each other cannot know each other's connections, and need not. */
  tablesAgree = true;
  /** That nobody can reach to tell it of a change. */
  readonly unreachable = new Set<LbName>();
  weights: Weights = allBackends;
  /** How often connections were made that rest on their sessions. */
  unsettled = 0;
  #load: Load | null = null;

  private constructor(
    readonly lab: Lab,
    readonly nodes: readonly LbName[],
    readonly options: BedOptions,
  ) {
    this.live = [...nodes];
    this.announcing = options.zones ? ['lb1', 'lb2'] : [...nodes];
  }

  /** On failure the lab is taken down again. */
  static async up(options: BedOptions): Promise<Bed> {
    const lab = await Lab.up(options.name, { cluster: options.zones ? 'two zones' : 'one zone' });
    const bed = new Bed(lab, options.zones ? ['lb1', 'lb2', 'lb3', 'lb4'] : ['lb1', 'lb2', 'lb3'], options);
    try {
      await bed.#start();
      return bed;
    } catch (error) {
      for (const { log, host } of bed.agents.values()) options.say(`${host}: ${log.slice(-3000)}`);
      await bed.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { lab, nodes, options } = this;
    for (const node of nodes) this.agents.set(node, this.#agent(node));
    for (const address of [...sources4, ...sources6].filter((one) => !one.endsWith(':2') && !one.endsWith('.2'))) {
      const length = address.includes(':') ? 64 : 24;
      const words = ['ip', 'address', 'add', `${address}/${length}`, 'dev', 'eth0'];
      await lab.must('client', ...words, ...(length === 64 ? ['nodad'] : []));
    }
    await prepareFilters(lab, nodes);
    options.say(`starting ${nodes.length} agents, ${backendNames.length} backends`);
    await Promise.all([
      ...backendNames.map((name) => this.startEcho(name)),
      ...[...this.agents.values()].map((agent) => agent.start()),
    ]);
    await this.apply();
  }

  #agent(node: LbName): Agent {
    const number = node.slice(2);
    const zone = Number(number) <= 2 ? 'a' : 'b';
    const agent = new Agent(this.lab, node, {
      node: { name: node, ...(this.options.zones ? { zone } : {}) },
      sync: { interface: 'eth0' },
      zones: { holdDown: '3s' },
      routes: {
        localAs: 64497,
        localAddress4: `203.0.113.1${number}`,
        localAddress6: `2001:db8:200::1${number}`,
        neighbors: [
          { address: '203.0.113.1', as: 64496 },
          { address: '2001:db8:200::1', as: 64496 },
        ],
        bfd: { interval: '100ms', multiplier: 3 },
        socket: `/run/spillway/${this.lab.name}/${node}-bird.ctl`,
      },
    });
    agent.checkout = this.options.from;
    return agent;
  }

  async startEcho(name: BackendName): Promise<void> {
    const command = (...words: readonly string[]): readonly string[] => this.lab.command(name, ...words);
    this.echoes.set(name, await Echo.start(command, { name, tcpPort, udpPort, vips }));
  }

  of(node: LbName): Agent {
    return this.agents.get(node)!;
  }

  get load(): Load {
    if (this.#load === null) throw new Error('the load has not been started');
    return this.#load;
  }

  async startLoad(): Promise<void> {
    const { connections, perSecond, flows } = this.options;
    const command = (...words: readonly string[]): readonly string[] => this.lab.command('client', ...words);
    const sources = [...sources4, ...sources6];
    const load = new Load(command, { vips, sources, tcpPort, udpPort, connections, perSecond, flows });
    this.#load = load;
    await until('the load runs', () => load.snapshots.length > 0);
  }

  #desired(): ConfigInput {
    const check = { tcp: {}, interval: ms(500), timeout: ms(2000), rise: 2, fall: 3 };
    const members = backendNames.filter((name) => this.weights[name] !== undefined);
    return {
      loadBalancers: [
        {
          name: 'web',
          addresses: [...vips],
          listeners: [tcp(tcpPort, 'servers', { healthCheck: check }), udp(udpPort, 'servers')],
          ...(this.options.zones ? { primaryZone: 'a', secondaryZone: 'b' } : {}),
        },
      ],
      backendGroups: [group('servers', { members, weights: this.weights })],
    };
  }

  /** To every node that can be reached, one after the other, as a controller would. */
  async apply(weights: Weights = this.weights): Promise<void> {
    this.weights = weights;
    const config = this.#desired();
    for (const [node, { client }] of this.agents)
      if (!this.unreachable.has(node)) await client.config.apply({ config });
  }

  /** Process ids of the BIRD on a node. */
  async birds(node: LbName): Promise<number[]> {
    const pids = (await this.lab.must('bridge', 'ip', 'netns', 'pids', `sw-${this.lab.name}-${node}`)).split('\n');
    return pids.filter((pid) => pid !== '' && commandOf(pid) === 'bird').map(Number);
  }

  async killBird(node: LbName): Promise<void> {
    const pids = await this.birds(node);
    if (pids.length === 0) throw new Error(`no BIRD runs on ${node}`);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(`the BIRD of ${node} has ended`, () => pids.every((pid) => commandOf(`${pid}`) === null));
  }

  async close(): Promise<void> {
    if (this.#load !== null) await this.#load.close();
    await Promise.allSettled([...this.agents.values()].map((agent) => agent.stop()));
    await Promise.allSettled([...this.echoes.values()].map((echo) => echo.kill()));
    await this.lab.down();
  }
}

/** null: it has ended, though it may be a zombie that nobody reaps. */
function commandOf(pid: string): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    return /^ [ZX]/.test(stat.slice(end + 1)) ? null : stat.slice(stat.indexOf('(') + 1, end);
  } catch {
    return null;
  }
}
