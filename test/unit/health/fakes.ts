import type { HealthCheck } from '../../../src/config/desired.js';
import { createHealthEngine, type HealthEngine } from '../../../src/health/engine.js';
import type {
  Clock,
  ProbeReply,
  ProbeRequest,
  ProbeResult,
  ProberPort,
  TlsPort,
  TlsRequest,
} from '../../../src/health/ports.js';
import type { CheckTarget, HealthChange } from '../../../src/health/types.js';

export class FakeClock implements Clock {
  #nowMs = 1000;
  readonly #timers = new Set<{ atMs: number; run: () => void }>();

  monotonicMs = (): number => this.#nowMs;
  wallMs = (): number => 1_700_000_000_000 + this.#nowMs;

  after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  get timers(): number {
    return this.#timers.size;
  }

  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const next = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = endMs;
  }

  /** Time passes, but no timer runs: a blocked event loop. */
  stall(durationMs: number): void {
    this.#nowMs += durationMs;
  }
}

export interface Started {
  readonly request: ProbeRequest;
  readonly atMs: number;
}

/** Answers when told to, or at once by `answer`. */
export class FakeProber implements ProberPort {
  readonly started: Started[] = [];
  readonly underWay = new Map<number, ProbeRequest>();
  readonly cancelled: number[] = [];
  closed = false;
  /** Result of each probe as it starts; null = none yet. */
  answer: (request: ProbeRequest) => Partial<ProbeResult> | null = () => null;
  deliver: (results: readonly ProbeResult[]) => void = () => {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(requests: readonly ProbeRequest[]): void {
    for (const request of requests) {
      this.started.push({ request, atMs: this.#clock.monotonicMs() });
      this.underWay.set(request.id, request);
      const result = this.answer(request);
      if (result !== null) this.#clock.after(0, () => this.finish(request.id, result));
    }
  }

  cancel(ids: readonly number[]): void {
    this.cancelled.push(...ids);
    for (const id of ids) this.underWay.delete(id);
  }

  close(): void {
    this.closed = true;
  }

  finish(id: number, result: Partial<ProbeResult> = {}): void {
    this.underWay.delete(id);
    this.deliver([{ id, error: null, elapsedUs: 300, data: null, fd: -1, ...result }]);
  }

  finishAll(result: Partial<ProbeResult> = {}): void {
    for (const id of [...this.underWay.keys()]) this.finish(id, result);
  }
}

export class FakeTls implements TlsPort {
  readonly discarded: number[] = [];
  readonly exchanges: { fd: number; request: TlsRequest; done: (reply: ProbeReply) => void; cancelled: boolean }[] = [];

  exchange(fd: number, request: TlsRequest, done: (reply: ProbeReply) => void): () => void {
    const exchange = { fd, request, done, cancelled: false };
    this.exchanges.push(exchange);
    return () => {
      exchange.cancelled = true;
    };
  }

  discard(fd: number): void {
    this.discarded.push(fd);
  }
}

export interface Bench {
  readonly clock: FakeClock;
  readonly prober: FakeProber;
  readonly tls: FakeTls;
  readonly engine: HealthEngine;
  readonly changes: HealthChange[];
}

export function bench(options: { random?: () => number; onChanges?: () => void; concurrency?: number } = {}): Bench {
  const clock = new FakeClock();
  const prober = new FakeProber(clock);
  const tls = new FakeTls();
  const changes: HealthChange[] = [];
  const engine = createHealthEngine({
    prober: (onResults) => {
      prober.deliver = onResults;
      return prober;
    },
    tls,
    clock,
    random: options.random ?? (() => 0.5),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
    onChanges: (batch) => {
      changes.push(...batch);
      options.onChanges?.();
    },
  });
  return { clock, prober, tls, engine, changes };
}

export const tcpCheck: HealthCheck = {
  probe: { kind: 'tcp' },
  port: 80,
  intervalMs: 1000,
  timeoutMs: 500,
  rise: 2,
  fall: 3,
  target: 'VIP',
};

export function target(key: string, options: Partial<CheckTarget> & { check?: HealthCheck } = {}): CheckTarget {
  return { key, check: tcpCheck, address: '192.0.2.10', port: 80, mark: 0x53570001, ...options };
}

/** A repeatable stream of numbers (mulberry32), for tests over many draws. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
