import { CapacityError, UnavailableError } from '../../../src/base/errors.js';
import { parseLine } from '../../../src/metering/line.js';
import { Meter } from '../../../src/metering/meter.js';
import { type Count, HOUR_MS, type MeteringRecord, type Report } from '../../../src/metering/types.js';
import { Random } from '../../support/random.js';
import { Crash, FakeDisk } from './fake_disk.js';

export const folder = '/state/metering';
export const startMs = Date.UTC(2026, 0, 2, 3, 59, 30);
const MOST = 32;

interface Counter {
  packets: bigint;
  bytes: bigint;
  sessions: bigint;
}

export interface Totals {
  packetsIn: bigint;
  bytesIn: bigint;
  newSessions: bigint;
  packetsOut: bigint;
  bytesOut: bigint;
}

const zero = (): Totals => ({ packetsIn: 0n, bytesIn: 0n, newSessions: 0n, packetsOut: 0n, bytesOut: 0n });

/** A kernel that counts, agents that come and go, a disk, backends that report: and what really flowed. */
export class World {
  readonly random: Random;
  readonly disk: FakeDisk;
  readonly truth = new Map<string, Totals>();
  readonly damage: string[] = [];
  readonly refusals: string[] = [];
  meter: Meter | null = null;
  nowMs = startMs;
  monotonicMs = 0;
  /** By service number. */
  counters = new Map<number, Counter>();
  generation = 1;
  /** LoadBalancer by service number, as the configuration in force has it. */
  owners = new Map<number, string>();
  /** Numbers that the kernel's table of services has. */
  rows = new Set<number>();
  keepDays = 400;
  crashes = 0;
  #files: ReturnType<FakeDisk['process']> | null = null;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.disk = new FakeDisk(this.random);
  }

  total(name: string): Totals {
    const known = this.truth.get(name) ?? zero();
    this.truth.set(name, known);
    return known;
  }

  /** One VIP for each LoadBalancer. */
  vipOf(name: string): string {
    return `192.0.2.${name.charCodeAt(0)}`;
  }

  /** Towards a service that the kernel has. */
  traffic(service: number, packets: number): void {
    const counter = this.counters.get(service) ?? { packets: 0n, bytes: 0n, sessions: 0n };
    const total = this.total(this.owners.get(service) ?? '(nobody)');
    const [bytes, sessions] = [BigInt(packets * 100), BigInt(packets >> 2)];
    this.counters.set(service, {
      packets: counter.packets + BigInt(packets),
      bytes: counter.bytes + bytes,
      sessions: counter.sessions + sessions,
    });
    total.packetsIn += BigInt(packets);
    total.bytesIn += bytes;
    total.newSessions += sessions;
  }

  pass(ms: number, { jumpMs = 0 }: { jumpMs?: number } = {}): void {
    this.nowMs += ms + jumpMs;
    this.monotonicMs += ms;
  }

  /** An agent starts; it is killed in its `crashIn`-th operation on the disk. */
  async start(crashIn: number | null = null): Promise<void> {
    const files = this.disk.process(crashIn);
    this.#files = files;
    await this.survive(async () => {
      this.meter = await Meter.open({
        folder,
        keepDays: this.keepDays,
        reporters: 8,
        counters: {
          generation: `boot/${this.generation}`,
          most: MOST,
          known: (id) => this.rows.has(id),
          read: () => {
            const counters = this.counters;
            return (id): Count => counters.get(id) ?? { packets: 0n, bytes: 0n, sessions: 0n };
          },
        },
        now: () => this.nowMs,
        monotonic: () => this.monotonicMs,
        files,
        gatherMs: 0,
        onDamage: (text) => files.dead || this.damage.push(text),
        onRefusal: ({ message }) => files.dead || this.refusals.push(message),
      });
      if (this.owners.size > 0) this.own();
      await this.meter.persist().catch(refused);
    });
  }

  /** The configuration comes into force, as the agent says it. */
  own(): void {
    this.meter?.own({
      services: this.owners,
      vips: new Map([...this.owners.values()].map((name) => [this.vipOf(name), name])),
    });
  }

  /** Runs a task of the agent; a crash in it ends that agent. */
  async survive<T>(task: () => Promise<T>): Promise<T | null> {
    try {
      const done = await task();
      if (!this.#files?.dead) return done;
    } catch (error) {
      if (!isCrash(error)) throw error;
    }
    this.kill();
    return null;
  }

  kill(): void {
    if (this.meter !== null || this.#files?.dead) this.crashes++;
    this.meter = null;
    // Whatever it still had under way ends with it.
    this.#files?.end();
    this.#files = null;
  }

  tick(): Promise<unknown> {
    return this.survive(async () => {
      this.meter?.sample();
      await this.meter?.persist().catch(refused);
    });
  }

  /** False: not acknowledged, so it comes again. */
  async report(report: Report): Promise<boolean> {
    const answered = await this.survive(async () => {
      if (this.meter === null) return false;
      try {
        await this.meter.report(report);
        return true;
      } catch (error) {
        if (error instanceof CapacityError) return false;
        refused(error);
        return false;
      }
    });
    return answered === true;
  }

  /** What the records of all hours add up to, asked of an agent that is well. */
  async records(): Promise<readonly MeteringRecord[]> {
    this.kill();
    this.disk.full = false;
    await this.start();
    const { records } = await this.meter!.list({ loadBalancer: null, fromMs: 0, untilMs: 1e15, atLeast: 1e9 });
    return records;
  }

  sums(records: readonly MeteringRecord[]): Map<string, Totals> {
    const sums = new Map<string, Totals>();
    for (const record of records) {
      const sum = sums.get(record.loadBalancer) ?? zero();
      sums.set(record.loadBalancer, sum);
      for (const key of ['packetsIn', 'bytesIn', 'newSessions', 'packetsOut', 'bytesOut'] as const)
        sum[key] += record[key];
    }
    return sums;
  }

  /** Every line of every file, as it stands there. */
  lines(): string[] {
    const texts = [...this.disk.files]
      .filter(([path]) => path.endsWith('.jsonl'))
      .map(([, bytes]) => bytes.toString('utf8'));
    return texts.flatMap((text) => text.split('\n').slice(0, -1));
  }

  get filesAreWhole(): boolean {
    const texts = [...this.disk.files]
      .filter(([path]) => path.endsWith('.jsonl'))
      .map(([, bytes]) => bytes.toString('utf8'));
    return texts.every((text) => text.endsWith('\n')) && this.lines().every((line) => parseLine(line) !== null);
  }

  get hour(): number {
    return Math.floor(this.nowMs / HOUR_MS);
  }
}

function isCrash(error: unknown): boolean {
  return error instanceof Crash || (error as { cause?: unknown } | null)?.cause instanceof Crash;
}

/** A disk that refuses is told, and nothing else may go wrong. */
function refused(error: unknown): void {
  if (!(error instanceof UnavailableError) || isCrash(error)) throw error;
}
