import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect, type messages, type SpillwayClient } from '../../../src/api/client.js';
import { ROOT } from '../paths.js';
import { type Bed, stop } from './bed.js';
import type { Options } from './options.js';

const MAIN = join(ROOT, 'dist', 'src', 'main.js');
const CLI = join(ROOT, 'dist', 'src', 'cli', 'main.js');
export const METRICS_URL = 'http://127.0.0.1:9155/metrics';
const START_MS = 120_000;

/** Resident memory in bytes. `all` (VmRSS) has in it what is mapped: the session table, which lies in the kernel anyway, and code. */
export interface Resident {
  readonly all: number;
  readonly own: number;
  readonly peak: number;
}

/** Seconds of the agent's main thread: on a core, and waiting for one because others had them. */
export interface Spent {
  readonly running: number;
  readonly waiting: number;
}

export interface Timed {
  readonly seconds: number;
  readonly output: string;
}

/** spillwayd in the bed's namespace, with a client. */
export class BenchAgent {
  readonly client: SpillwayClient;
  readonly #configFile: string;
  readonly #socket: string;
  #child: ChildProcess | null = null;

  constructor(
    readonly bed: Bed,
    { sessions }: Options,
  ) {
    this.#configFile = join(bed.directory, 'spillwayd.yaml');
    this.#socket = `unix:${join(bed.directory, 'agent.sock')}`;
    const config = {
      instance: bed.name,
      interfaces: ['eth0'],
      listen: { unix: join(bed.directory, 'agent.sock') },
      stateDirectory: join(bed.directory, 'state'),
      limits: { sessions },
    };
    // JSON is YAML.
    writeFileSync(this.#configFile, JSON.stringify(config));
    this.client = connect(this.#socket, { timeoutMs: 120_000 });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Seconds until it says that it is ready: it then serves gRPC and metrics, and forwards. @throws Error when it ends instead. */
  async start(): Promise<number> {
    const startedMs = performance.now();
    const child = spawn(...this.bed.inside(process.execPath, MAIN, '--config', this.#configFile), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    let log = '';
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`spillwayd ${why}: ${log.slice(-2000)}`));
      const timer = setTimeout(() => fail(`is not ready after ${START_MS} ms`), START_MS);
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        fail(`ended with ${code ?? signal}`);
      });
      createInterface({ input: child.stderr! }).on('line', (line) => {
        log = `${log}${line}\n`.slice(-4000);
        if (!line.includes('"msg":"ready"')) return;
        clearTimeout(timer);
        resolve((performance.now() - startedMs) / 1000);
      });
    });
  }

  async kill(): Promise<void> {
    if (this.#child !== null) await stop(this.#child, 'SIGKILL');
  }

  /** With the program, the pins and the link. */
  async remove(): Promise<void> {
    this.client.close();
    await this.kill();
    spawnSync(...this.bed.inside(process.execPath, MAIN, '--config', this.#configFile, '--detach'), {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  resident(): Resident {
    const text = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
    return { all: bytes('VmRSS'), own: bytes('RssAnon'), peak: bytes('VmHWM') };
  }

  /** Since its start. On a busy machine these tell more than the clock on the wall. */
  spent(): Spent {
    const [running, waiting] = readFileSync(`/proc/${this.pid}/schedstat`, 'utf8').split(' ');
    return { running: Number(running) / 1e9, waiting: Number(waiting) / 1e9 };
  }

  sessionTable(): Promise<messages.SessionTable> {
    return this.client.status.get({ summary: true }).then(({ sessionTable }) => sessionTable!);
  }

  /** A shell command beside the agent in which `spillway` is this build's; standard output is `output`. */
  async shell(command: string): Promise<Timed> {
    const script = `set -o pipefail; spillway() { "$NODE" "$CLI" "$@"; }; ${command}`;
    const env = { ...process.env, NODE: process.execPath, CLI, SPILLWAY_SOCKET: this.#socket };
    const startedMs = performance.now();
    const child = spawn(...this.bed.inside('bash', '-c', script), { stdio: ['ignore', 'pipe', 'pipe'], env });
    const [output, errors, status] = await Promise.all([
      readAll(child.stdout!),
      readAll(child.stderr!),
      new Promise<number | string | null>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => resolve(code ?? signal));
      }),
    ]);
    const seconds = (performance.now() - startedMs) / 1000;
    if (status !== 0) throw new Error(`${command} ended with ${status}: ${errors.slice(-2000)}`);
    return { seconds, output };
  }
}

async function readAll(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
