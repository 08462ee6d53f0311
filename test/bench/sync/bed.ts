import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from '../../support/lab/until.js';
import { NetNs, removeStale } from '../live/netns.js';
import { OUT } from '../paths.js';
import type { Loss } from './options.js';
import {
  type Answer,
  type Digest,
  GROUP,
  type Reading,
  type Request,
  type Started,
  type Transferred,
  type Value,
} from './protocol.js';

const ENTRY = fileURLToPath(new URL('node.js', import.meta.url));
const LOSS_OBJECT = `${OUT}/failover/loss.bpf.o`;
const ANSWER_MS = 60_000;

export interface BedOptions {
  /** Senders and receivers. */
  readonly nodes: number;
  /** That each table is sized for. */
  readonly sessions: number;
  readonly unicast: boolean;
  readonly recordsPerSecond: number;
}

/** What an interface sent. */
export interface Wire {
  readonly frames: number;
  readonly bytes: number;
}

/** A bridge with a port for each node, each in a namespace of its own; every node has admitted every other. */
export class Bed {
  private constructor(
    private readonly bridge: NetNs,
    readonly nodes: BenchNode[],
  ) {}

  static async open(options: BedOptions): Promise<Bed> {
    await removeStale();
    const bridge = await NetNs.add('b');
    const bed = new Bed(bridge, []);
    try {
      // Snooping without a querier may lose datagrams: LAB.md's finding, and what operators are told.
      await bridge.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
      await bridge.ip('link', 'set', 'br0', 'up');
      const addresses = Array.from({ length: options.nodes }, (_, i) => `10.77.0.${i + 1}`);
      for (const [i, address] of addresses.entries()) {
        bed.nodes.push(await BenchNode.open(bridge, { number: i + 1, address }));
      }
      await Promise.all(bed.nodes.map((node) => node.start({ ...options, addresses })));
      for (const node of bed.nodes) for (const other of bed.nodes) if (other !== node) await node.admit(other);
      for (const node of bed.nodes) {
        await until('all nodes are heard', async () => (await node.read()).control.admitted >= options.nodes - 1);
      }
    } catch (error) {
      await bed.close();
      throw error;
    }
    return bed;
  }

  /** From now on the receivers lose so much of what is sent to them; of the next datagrams, others. */
  async lose(percent: Loss): Promise<void> {
    if (percent === 0) return;
    for (const { number } of this.nodes.slice(1)) {
      const port = `port${number}`;
      await this.bridge.exec('tc', 'qdisc', 'add', 'dev', port, 'clsact');
      const program = ['bpf', 'da', 'obj', LOSS_OBJECT, 'sec', `loss${percent}`];
      await this.bridge.exec('tc', 'filter', 'add', 'dev', port, 'egress', ...program);
    }
  }

  /** Another host on the bridge. The caller removes it. */
  addHost(number: number): Promise<NetNs> {
    return addHost(this.bridge, { number, address: `10.77.0.${number}` });
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.bridge.remove();
  }
}

interface Place {
  readonly number: number;
  readonly address: string;
}

async function addHost(bridge: NetNs, { number, address }: Place): Promise<NetNs> {
  const ns = await NetNs.add(`n${number}`);
  try {
    const mac = `02:00:00:00:77:0${number}`;
    const end = ['eth0', 'address', mac, 'netns', ns.name];
    await bridge.ip('link', 'add', `port${number}`, 'type', 'veth', 'peer', 'name', ...end);
    await bridge.ip('link', 'set', `port${number}`, 'master', 'br0', 'up');
    await ns.ip('link', 'set', 'eth0', 'up');
    await ns.ip('address', 'add', `${address}/24`, 'dev', 'eth0');
    return ns;
  } catch (error) {
    await ns.remove();
    throw error;
  }
}

export class BenchNode {
  started: Started | null = null;

  get number(): number {
    return this.identity.number;
  }

  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;

  private constructor(
    private readonly ns: NetNs,
    private readonly child: ChildProcess,
    private readonly identity: Place,
  ) {
    child.on('message', (answer: Answer) => this.#waiting?.resolve(answer));
    child.on('exit', (code, signal) => {
      this.#waiting?.reject(new Error(`node ${identity.number} ended with ${code ?? signal}`));
    });
  }

  static async open(bridge: NetNs, identity: Place): Promise<BenchNode> {
    const ns = await addHost(bridge, identity);
    const [file, words] = ns.command(process.execPath, ENTRY);
    const child = spawn(file, [...words], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    return new BenchNode(ns, child, identity);
  }

  async start({ addresses, ...options }: BedOptions & { addresses: readonly string[] }): Promise<void> {
    const { number, address } = this.identity;
    this.started = (await this.#ask({
      ...{ do: 'start', node: number, address, sessions: options.sessions },
      ...{ recordsPerSecond: options.recordsPerSecond, group: options.unicast ? null : GROUP },
      peers: options.unicast ? addresses.filter((other) => other !== address) : [],
    })) as Started;
  }

  get maps(): Started['maps'] {
    return this.started!.maps;
  }

  async admit(other: BenchNode): Promise<void> {
    await this.#ask({ do: 'admit', node: other.identity.number, boot: other.started!.boot });
  }

  async read(): Promise<Reading> {
    return (await this.#ask({ do: 'read' })) as Reading;
  }

  async digest(): Promise<Digest> {
    return (await this.#ask({ do: 'digest' })) as Digest;
  }

  async transfer(job: 'fetch' | 'compare', from: BenchNode): Promise<Transferred> {
    const { number, address } = from.identity;
    const { transferPort: port, boot } = from.started!;
    return (await this.#ask({ do: job, node: number, address, port, boot })) as Transferred;
  }

  async wire(): Promise<Wire> {
    const [link] = JSON.parse(await this.ns.ip('-s', '-j', 'link', 'show', 'dev', 'eth0')) as [
      { stats64: { tx: { packets: number; bytes: number } } },
    ];
    const { packets, bytes } = link.stats64.tx;
    return { frames: packets, bytes };
  }

  async close(): Promise<void> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      if (child.connected) child.disconnect();
      else child.kill('SIGKILL');
      await gone;
    }
    await this.ns.remove();
  }

  async #ask(request: Request): Promise<Value> {
    const answer = await new Promise<Answer>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`no answer to "${request.do}" within ${ANSWER_MS} ms`)),
        ANSWER_MS,
      );
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(late);
          this.#waiting = null;
          settle(value);
        };
      this.#waiting = { resolve: settled(resolve), reject: settled(reject) };
      this.child.send(request);
    });
    if (!answer.ok) throw new Error(`node ${this.identity.number}, ${request.do}: ${answer.error}`);
    return answer.value;
  }
}
