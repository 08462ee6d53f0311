import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { OUT } from '../paths.js';

/** What load.c prints ten times a second; counts since its start, the longest of anything since the last one. */
export interface Snapshot {
  readonly at: number;
  readonly alive: number;
  /** Long-lived connections without an answer for half a second. */
  readonly waiting: number;
  readonly answers: number;
  readonly broken: number;
  readonly longestWaitMs: number;
  readonly tried: number;
  readonly done: number;
  readonly failed: number;
  readonly underWay: number;
  readonly slow: number;
  readonly longestConnectMs: number;
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly late: number;
  readonly duplicates: number;
  readonly moved: number;
  readonly errors: number;
  readonly longestGapMs: number;
  readonly ownDelayMs: number;
}

/** A long-lived connection. */
export interface Connection {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly backend: string;
}

export interface Listed extends Connection {
  /** Monotonic. */
  readonly establishedMs: number;
}

/** A connection that broke (it had been established), or one that failed. Times are of the machine's monotonic clock; 0: never. */
export interface Mishap extends Connection {
  readonly event: 'broken' | 'failed';
  readonly at: number;
  /** Of the long-lived ones. */
  readonly long: boolean;
  readonly why: string;
  readonly phase: 'connecting' | 'answer' | 'ending';
  readonly begun: number;
  readonly established: number;
  readonly asked: number;
  readonly answered: number;
}

export interface LoadOptions {
  readonly vips: readonly string[];
  /** Own addresses, of both families. */
  readonly sources: readonly string[];
  readonly tcpPort: number;
  readonly udpPort: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly flows: number;
  readonly deadlineMs?: number;
  readonly shortDeadlineMs?: number;
}

/** The machine's monotonic clock, which load.c tells times by, too. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** load.c, running. `onSnapshot` and `mishaps` have all that it says. */
export class Load {
  readonly mishaps: Mishap[] = [];
  readonly snapshots: Snapshot[] = [];
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #gone: Promise<unknown>;
  #lists: ((connections: Listed[]) => void)[] = [];
  #ended: string | null = null;

  /** @param command makes the words that run something where the clients are. */
  constructor(
    command: (...words: readonly string[]) => readonly string[],
    readonly options: LoadOptions,
  ) {
    const { vips, sources, tcpPort, udpPort, connections, perSecond, flows } = options;
    const words = [
      ...vips.flatMap((vip) => [vip.includes(':') ? '-6' : '-4', vip]),
      ...sources.flatMap((source) => ['-s', source]),
      ...['-p', tcpPort, '-u', udpPort, '-c', connections, '-r', perSecond, '-f', flows].map(String),
      ...(options.deadlineMs === undefined ? [] : ['-D', `${options.deadlineMs}`]),
      ...(options.shortDeadlineMs === undefined ? [] : ['-N', `${options.shortDeadlineMs}`]),
    ];
    const [file, ...rest] = command(`${OUT}/failover/load`, ...words);
    this.#child = spawn(file!, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#gone = once(this.#child, 'close');
    this.#child.once('exit', (code, signal) => {
      this.#ended = `the load ended with ${signal ?? code}`;
    });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
  }

  #take(line: string): void {
    const said = JSON.parse(line) as Snapshot | Mishap | { event: 'list'; connections: Listed[] };
    if (!('event' in said)) this.snapshots.push(said);
    else if (said.event === 'list') this.#lists.shift()?.(said.connections);
    else this.mishaps.push(said);
  }

  /** @throws Error when it has ended or has not said anything yet. */
  get latest(): Snapshot {
    if (this.#ended !== null) throw new Error(this.#ended);
    const snapshot = this.snapshots.at(-1);
    if (snapshot === undefined) throw new Error('the load has not said anything yet');
    return snapshot;
  }

  /** Establishes what is missing of the long-lived connections. */
  fill(): void {
    this.#say('fill');
  }

  /** Ends so many long-lived connections as their users would, and makes them anew. */
  churn(count: number): void {
    this.#say(`churn ${count}`);
  }

  /** From now on there are no datagrams and no new connections. */
  pause(): void {
    this.#say('pause');
  }

  list(): Promise<Listed[]> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) reject(new Error(this.#ended));
      this.#lists.push(resolve);
      this.#say('list');
    });
  }

  /** What it has said until then is all there when this resolves. */
  async close(): Promise<void> {
    this.#say('quit');
    this.#child.stdin.end();
    await this.#gone;
  }

  #say(command: string): void {
    if (this.#ended === null) this.#child.stdin.write(`${command}\n`);
  }
}
