import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect, type SpillwayClient } from '../../../src/api/client.js';
import type { Ended, Lab } from './lab.js';
import { patience, until } from './until.js';

export type LbName = 'lb1' | 'lb2' | 'lb3' | 'lb4';

const secret = 'the secret that both load balancers of a lab share';
/** A start compiles, loads and attaches: a second alone, several on a machine with other work. */
const startMs = 30_000;

/** spillwayd on a load balancer of a lab, with a client of its own. */
export class Agent {
  readonly instance: string;
  readonly socket: string;
  readonly stateDirectory: string;
  readonly configFile: string;
  readonly pins: string;
  readonly client: SpillwayClient;
  /** Another checkout, whose agent is started; null: this one's. */
  checkout: string | null = null;
  #config: string;
  #child: ChildProcess | null = null;
  #gone: Promise<unknown> = Promise.resolve();
  #stderr = '';

  /** `settings`: more of the agent's configuration, over what is written here. */
  constructor(
    readonly lab: Lab,
    readonly host: LbName,
    settings: Readonly<Record<string, unknown>> = {},
  ) {
    this.instance = `${lab.name}-${host}`;
    this.socket = `/run/spillway/${lab.name}/${host}.sock`;
    this.pins = `/sys/fs/bpf/spillway/${this.instance}`;
    const directory = lab.directory('agents');
    this.stateDirectory = `${directory}/${host}`;
    this.configFile = `${directory}/${host}.yaml`;
    const clusterSecretFile = `${directory}/secret`;
    writeFileSync(clusterSecretFile, secret);
    const config = {
      instance: this.instance,
      interfaces: ['eth0'],
      listen: { unix: this.socket },
      stateDirectory: this.stateDirectory,
      clusterSecretFile,
      limits: { sessions: 100_000, backends: 4096, backendGroups: 64 },
      ...settings,
    };
    // JSON is YAML.
    this.#config = JSON.stringify(config);
    this.client = connect(`unix:${this.socket}`);
  }

  /** From the next start on, over what was configured before. */
  configure(settings: Readonly<Record<string, unknown>>): void {
    this.#config = JSON.stringify({ ...JSON.parse(this.#config), ...settings });
  }

  /** What it wrote to standard error since the last start. */
  get log(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it answers calls. @throws Error with what it said if it ends before. */
  async start(): Promise<void> {
    this.#stderr = '';
    writeFileSync(this.configFile, this.#config);
    const program = this.checkout === null ? 'spillwayd' : `${this.checkout}/scripts/bin/spillwayd`;
    const [file, ...words] = this.lab.command(this.host, program, '--config', this.configFile);
    const child = spawn(file!, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#gone = once(child, 'exit');
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const ready = async (): Promise<boolean> => {
      const status = await this.client.status.get({ summary: true }, { timeoutMs: 2000 * patience });
      return status.node?.pid === child.pid;
    };
    await until(`${this.instance} answers`, () => ended(child) || ready(), { withinMs: startMs });
    if (ended(child)) throw new Error(`${this.instance} ended with ${child.exitCode}: ${this.#stderr}`);
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal);
    await this.#gone;
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#gone;
  }

  /** By a command: as long as it takes, with its exit code. For what ends by itself. */
  run(...options: readonly string[]): Promise<Ended> {
    writeFileSync(this.configFile, this.#config);
    return this.lab.exec(this.host, 'spillwayd', '--config', this.configFile, ...options);
  }

  spillway(...words: readonly string[]): Promise<Ended> {
    return this.lab.exec(this.host, 'spillway', ...words);
  }

  /** The text of /metrics. */
  scrape(): Promise<string> {
    return this.lab.must(this.host, 'curl', '-sf', 'http://127.0.0.1:9155/metrics');
  }

  async stop(): Promise<void> {
    this.client.close();
    if (this.#child && !ended(this.#child)) await this.kill('SIGTERM');
  }

  get pinned(): boolean {
    return existsSync(this.pins);
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The value of one series, written as in the exposition format. @throws Error when it is not there. */
export function metricOf(scraped: string, series: string): number {
  const line = scraped.split('\n').find((one) => one.startsWith(`${series} `));
  if (line === undefined) throw new Error(`no ${series} in the scrape`);
  return Number(line.slice(series.length + 1));
}
