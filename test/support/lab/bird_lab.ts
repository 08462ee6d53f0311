/** Namespaces of their own: nodes that announce, and a router with a real BIRD, on one cable each. */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Route } from '../../../src/bgp/types.js';
import type { BgpNeighbor, BirdConfig } from '../../../src/config/cluster.js';
import type { AnnouncerMethods } from './announcer.js';
import { Peer } from './peer.js';
import { until } from './until.js';

export const ROUTER_AS = 65000;
export const NODE_AS = 65001;

export const route = (vip: string, more: Partial<Route> = {}): Route => ({
  vip,
  preference: 'primary',
  med: null,
  prepend: 0,
  communities: [],
  ...more,
});

export interface BirdLabOptions {
  readonly nodes?: number;
  /** Lines for each of the router's BGP protocols. */
  readonly routerBgp?: string;
  readonly routerBfd?: boolean;
  /** Its BGP protocols, where those for each node on its link are not meant. */
  readonly routerSessions?: string;
}

/** Node n is 10.91.n.1 and fd91:n::1, the router .2 and ::2 of each. */
export class BirdLab {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'sw-bird-'));
  readonly #nodes: number;
  readonly #options: BirdLabOptions;
  readonly #birds = new Map<string, number>();
  readonly #peers: Peer<AnnouncerMethods>[] = [];

  private constructor(
    readonly name: string,
    options: BirdLabOptions,
  ) {
    this.#options = options;
    this.#nodes = options.nodes ?? 1;
  }

  static async up(name: string, options: BirdLabOptions = {}): Promise<BirdLab> {
    const lab = new BirdLab(`sw-t${process.pid}-${name}-`, options);
    try {
      await lab.#build();
      return lab;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  async #build(): Promise<void> {
    for (const host of this.hosts) {
      await run('ip', 'netns', 'add', this.netns(host));
      await this.inside(host, 'sysctl', '-qw', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0');
      await this.inside(host, 'ip', 'link', 'set', 'lo', 'up');
      mkdirSync(path.join(this.directory, host));
    }
    await this.inside('router', 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    for (const [index, node] of this.nodes.entries()) {
      const ends = [this.netns(node), 'type', 'veth', 'peer', 'name', node, 'netns', this.netns('router')];
      await run('ip', 'link', 'add', 'eth0', 'netns', ...ends);
      for (const [host, device, last] of [
        [node, 'eth0', 1],
        ['router', node, 2],
      ] as const) {
        await this.inside(host, 'ip', 'address', 'add', `10.91.${index + 1}.${last}/24`, 'dev', device);
        await this.inside(host, 'ip', 'address', 'add', `fd91:${index + 1}::${last}/64`, 'dev', device, 'nodad');
        await this.inside(host, 'ip', 'link', 'set', device, 'up');
      }
    }
    await this.startRouter();
  }

  get nodes(): readonly string[] {
    return Array.from({ length: this.#nodes }, (_, index) => `node${index + 1}`);
  }

  get hosts(): readonly string[] {
    return ['router', ...this.nodes];
  }

  netns(host: string): string {
    return this.name + host;
  }

  file(host: string, name: string): string {
    return path.join(this.directory, host, name);
  }

  command(host: string): readonly string[] {
    return ['nsenter', `--net=/run/netns/${this.netns(host)}`];
  }

  inside(host: string, ...words: readonly string[]): Promise<string> {
    return run(...this.command(host), ...words);
  }

  config(node: string, more: Partial<BirdConfig> = {}): BirdConfig {
    const index = this.nodes.indexOf(node) + 1;
    return {
      kind: 'bird',
      localAs: NODE_AS,
      routerId: `10.91.${index}.1`,
      localAddress4: null,
      localAddress6: null,
      neighbors: [neighbor(`10.91.${index}.2`), neighbor(`fd91:${index}::2`)],
      bfd: { intervalMs: 100, multiplier: 3 },
      holdTimeSeconds: 9,
      primary: { med: null, prepend: 0, communities: [] },
      secondary: { med: 100, prepend: 2, communities: [] },
      binary: '/usr/sbin/bird',
      socket: this.file(node, 'bird.ctl'),
      configFile: this.file(node, 'bird.conf'),
      supervise: true,
      ...more,
    };
  }

  announcer(node: string): Peer<AnnouncerMethods> {
    const peer = new Peer<AnnouncerMethods>(this.command(node), './announcer.js');
    this.#peers.push(peer);
    return peer;
  }

  async startRouter(): Promise<void> {
    const { routerBgp = '', routerBfd = true, routerSessions } = this.#options;
    const bgp = this.nodes.flatMap((node, index) =>
      ([4, 6] as const).map((family) => {
        const local = family === 4 ? `10.91.${index + 1}.2` : `fd91:${index + 1}::2`;
        const far = family === 4 ? `10.91.${index + 1}.1` : `fd91:${index + 1}::1`;
        return `protocol bgp ${node}_v${family} {
  local ${local} as ${ROUTER_AS}; neighbor ${far} as ${NODE_AS}; direct; passive on; bfd ${routerBfd ? 'on' : 'off'};
  error wait time 1, 3; connect delay time 0; ${routerBgp}
  ipv${family} { import all; export none; };
}`;
      }),
    );
    await this.startBird(
      'router',
      'bird',
      `timeformat route iso long ms; timeformat log iso long ms; timeformat protocol iso long ms;
log "${this.file('router', 'bird.log')}" all;
router id 10.91.0.2;
protocol device { scan time 1; }
${routerBfd ? 'protocol bfd { interface "*" { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }; }' : ''}
protocol kernel { ipv4 { import none; export all; }; merge paths on; }
protocol kernel { ipv6 { import none; export all; }; merge paths on; }
${routerSessions ?? bgp.join('\n')}`,
    );
  }

  /** A BIRD of the test's own, in the foreground; without `text` on the file that is there. Resolves when it answers. */
  async startBird(host: string, name: string, text: string | null, more: readonly string[] = []): Promise<number> {
    const file = this.file(host, `${name}.conf`);
    const socket = this.file(host, `${name}.ctl`);
    if (text !== null) writeFileSync(file, text);
    const [first, ...words] = [...this.command(host), 'bird', '-f', '-c', file, '-s', socket, ...more];
    const child = spawn(first!, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.unref();
    this.#birds.set(`${host}/${name}`, child.pid!);
    await until(`BIRD of ${host}`, () => this.birdc(host, 'show status', name).then(() => true));
    return child.pid!;
  }

  signalBird(host: string, signal: NodeJS.Signals, name = 'bird'): void {
    process.kill(this.#birds.get(`${host}/${name}`)!, signal);
  }

  /** Processes of a host that run BIRD, whoever started them. */
  async birdPids(host: string): Promise<number[]> {
    const pids = (await run('ip', 'netns', 'pids', this.netns(host))).split('\n').filter(Boolean).map(Number);
    return pids.filter((pid) => commandOf(pid) === 'bird');
  }

  birdc(host: string, command: string, name = 'bird'): Promise<string> {
    return run('birdc', '-s', this.file(host, `${name}.ctl`), '-v', ...command.split(' '));
  }

  read(host: string, name: string): string {
    return readFileSync(this.file(host, name), 'utf8');
  }

  /** Since when the router's session is what it is: "up 2026-11-21 08:27:35.802 Established". */
  async session(node: string, family: 4 | 6): Promise<string> {
    const text = await this.birdc('router', `show protocols ${node}_v${family}`);
    const [, state = '?', since = '', info = ''] = /BGP +--- +(\S+) +(\S+(?: \d\S+)?) *(\S*)/.exec(text) ?? [];
    return `${state} ${since} ${info}`.trim();
  }

  /** The router's words on one route of a family's table, best path first. */
  async routeAt(prefix: string): Promise<string> {
    return await this.birdc('router', `show route ${prefix} all`);
  }

  /** Prefixes that the router has from BGP, in order: those of a node when it is named. */
  async learnt(node?: string): Promise<string[]> {
    const text = await this.birdc('router', 'show route');
    const at = new RegExp(`\\[${node ?? 'node\\d+'}_v[46] `);
    const found: string[] = [];
    let prefix = '';
    for (const line of text.split('\n')) {
      prefix = /^(?:\d{4}-)?\s*([0-9a-f.:]+\/\d+) /.exec(line)?.[1] ?? prefix;
      if (at.test(line)) found.push(prefix);
    }
    return [...new Set(found)].sort();
  }

  async down(): Promise<void> {
    for (const peer of this.#peers) await peer.close();
    for (const pid of await this.#pids()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await until('the processes of the lab to end', async () => (await this.#pids()).length === 0);
    for (const host of this.hosts) await run('ip', 'netns', 'del', this.netns(host)).catch(() => {});
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Of the processes in its namespaces. */
  async #pids(): Promise<number[]> {
    const all = await Promise.all(
      this.hosts.map((host) => run('ip', 'netns', 'pids', this.netns(host)).catch(() => '')),
    );
    return all.flatMap((text) => text.split('\n').filter(Boolean).map(Number));
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

export function neighbor(address: string, more: Partial<BgpNeighbor> = {}): BgpNeighbor {
  return { address, as: ROUTER_AS, passwordFile: null, multihop: 0, port: 179, ...more };
}

export function run(...words: readonly string[]): Promise<string> {
  const [file, ...rest] = words;
  return new Promise((resolve, reject) => {
    execFile(file!, rest, { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${words.join(' ')}: ${stderr || stdout || error.message}`));
      else resolve(stdout);
    });
  });
}
