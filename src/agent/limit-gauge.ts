import { LimitOver } from '../abi/abi.generated.js';
import type { CompiledLimit } from '../compile/limits.js';
import type { Counters } from '../dataplane/counters.js';
import type { LimitMap } from '../dataplane/limits.js';

const SAMPLE_MS = 250;
/** Rates are those of so many samples: of a second. */
const WINDOW = 4;

export interface Rates {
  readonly newSessionsPerSecond: number;
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
}

const none: Rates = { newSessionsPerSecond: 0, bitsPerSecond: 0, packetsPerSecond: 0 };

interface Sample {
  readonly atMs: number;
  readonly sessions: bigint;
  readonly bytes: bigint;
  readonly packets: bigint;
}

interface Gauge {
  /** Whose counters these are: with other services the past says nothing. */
  readonly of: string;
  /** Oldest first. */
  readonly samples: Sample[];
  over: number;
}

export interface LimitGaugeOptions {
  readonly limits: () => Iterable<CompiledLimit>;
  readonly counters: Pick<Counters, 'servicesAt'>;
  readonly rows: Pick<LimitMap, 'setOver'>;
  /** The data path's time, 32 bits. */
  readonly tick: () => number;
  /** Never goes back. */
  readonly nowMs: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * Measures what comes in for each limit, and tells the data path which are over their bits or packets a second. It has
 * to be told again and again: what was said two seconds ago is not believed any more.
 */
export class LimitGauges {
  readonly #options: LimitGaugeOptions;
  readonly #gauges = new Map<number, Gauge>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: LimitGaugeOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      try {
        this.sample();
      } catch (error) {
        options.onError(error);
      }
    }, SAMPLE_MS);
    this.#timer.unref();
  }

  ratesOf(limit: number): Rates {
    const samples = this.#gauges.get(limit)?.samples;
    return samples ? rates(samples) : none;
  }

  sample(): void {
    const { limits, counters, nowMs } = this.#options;
    const measured = [...limits()].filter(({ limits: set }) => Object.values(set).some((value) => value !== 0));
    const known = new Set(measured.map(({ id }) => id));
    for (const id of this.#gauges.keys()) if (!known.has(id)) this.#gauges.delete(id);
    if (measured.length === 0) return;
    const traffic = counters.servicesAt(measured.flatMap(({ services }) => services));
    const atMs = nowMs();
    for (const limit of measured) {
      const sample = { atMs, sessions: 0n, bytes: 0n, packets: 0n };
      for (const id of limit.services) {
        const { sessions, bytes, packets } = traffic(id);
        sample.sessions += sessions;
        sample.bytes += bytes;
        sample.packets += packets;
      }
      this.#take(limit, sample);
    }
  }

  #take(limit: CompiledLimit, sample: Sample): void {
    const of = `${limit.row.identity}/${limit.services.join()}`;
    const before = this.#gauges.get(limit.id);
    const gauge = before?.of === of ? before : { of, samples: [], over: 0 };
    this.#gauges.set(limit.id, gauge);
    gauge.samples.push(sample);
    if (gauge.samples.length > WINDOW + 1) gauge.samples.shift();
    this.#tell(limit, gauge);
  }

  #tell({ id, limits }: CompiledLimit, gauge: Gauge): void {
    const { bitsPerSecond, packetsPerSecond } = rates(gauge.samples);
    const overBits = limits.bitsPerSecond > 0 && bitsPerSecond > limits.bitsPerSecond;
    const overPackets = limits.packetsPerSecond > 0 && packetsPerSecond > limits.packetsPerSecond;
    const over = (overBits ? LimitOver.LIMIT_OVER_BITS : 0) | (overPackets ? LimitOver.LIMIT_OVER_PACKETS : 0);
    if (over === 0 && gauge.over === 0) return;
    gauge.over = over;
    this.#options.rows.setOver(id, over, this.#options.tick());
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function rates(samples: readonly Sample[]): Rates {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.atMs <= first.atMs) return none;
  const perSecond = (from: bigint, to: bigint): number =>
    Math.max(0, Math.round((Number(to - from) * 1000) / (last.atMs - first.atMs)));
  return {
    newSessionsPerSecond: perSecond(first.sessions, last.sessions),
    bitsPerSecond: perSecond(first.bytes, last.bytes) * 8,
    packetsPerSecond: perSecond(first.packets, last.packets),
  };
}
