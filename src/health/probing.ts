import { headEnd, headLimit } from './http.js';
import type {
  Clock,
  ProbeReply,
  ProbeRequest,
  ProbeResult,
  ProberFactory,
  ProberPort,
  Random,
  TlsPort,
} from './ports.js';
import { firstDelayMs, graceMs, nextIntervalMs } from './schedule.js';
import type { Tracked } from './tracked.js';
import { TimerWheel, tickMs } from './wheel.js';

export interface Outcome {
  readonly tracked: Tracked;
  readonly reply: ProbeReply;
  readonly elapsedUs: number;
}

export interface ProbingOptions {
  readonly prober: ProberFactory;
  readonly tls: TlsPort;
  readonly clock: Clock;
  readonly random: Random;
  /** Probes under way at once; unlimited without. More would only run out of descriptors where many hosts are dead. */
  readonly concurrency?: number;
  /** Each probe begun ends in one outcome, unless it was stopped; the next of its target is then scheduled already. */
  readonly onOutcomes: (outcomes: readonly Outcome[]) => void;
}

/** When which target is probed, and the probes under way: at most one for each target. Knows nothing of health. */
export class Probing {
  readonly #options: ProbingOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #prober: ProberPort;
  readonly #wheel: TimerWheel<Tracked>;
  readonly #underWay = new Map<number, Tracked>();
  /** Due, in order, until one under way ends. */
  readonly #waiting = new Set<Tracked>();
  #lastId = 0;

  constructor(options: ProbingOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#wheel = new TimerWheel(options.clock, (due) => this.#onDue(due));
    this.#prober = options.prober((results) => this.#onResults(results));
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Checks these from now on, soon and not all at once. They must not be scheduled yet, or stopped. */
  begin(newcomers: readonly Tracked[]): void {
    const nowMs = this.#clock.monotonicMs();
    for (const tracked of newcomers) {
      tracked.startMs = nowMs + firstDelayMs(newcomers.length, this.#random);
      this.#wheel.schedule(tracked, tracked.startMs - nowMs);
    }
  }

  stop(leavers: readonly Tracked[]): void {
    const ids: number[] = [];
    for (const tracked of leavers) {
      this.#wheel.cancel(tracked);
      this.#waiting.delete(tracked);
      this.#abandon(tracked, ids);
    }
    if (ids.length > 0) this.#prober.cancel(ids);
  }

  close(): void {
    this.#wheel.close();
    for (const tracked of this.#underWay.values()) tracked.abort?.();
    this.#underWay.clear();
    this.#waiting.clear();
    this.#prober.close();
  }

  #onDue(due: readonly Tracked[]): void {
    const lost = due.filter((tracked) => tracked.probeId !== 0);
    for (const tracked of due) if (tracked.probeId === 0) this.#waiting.add(tracked);
    this.#startWaiting();
    if (lost.length > 0) this.#giveUp(lost);
  }

  #startWaiting(): void {
    const { concurrency = Number.POSITIVE_INFINITY } = this.#options;
    const requests: ProbeRequest[] = [];
    for (const tracked of this.#waiting) {
      if (this.#underWay.size >= concurrency) break;
      this.#waiting.delete(tracked);
      requests.push(this.#request(tracked));
    }
    if (requests.length > 0) this.#prober.start(requests);
  }

  #request(tracked: Tracked): ProbeRequest {
    const { request } = tracked.compiled;
    this.#lastId = (this.#lastId % 0x7fffffff) + 1;
    tracked.probeId = this.#lastId;
    // Counting from when it should have started, the wheel's rounding does not add up over many intervals.
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - tracked.startMs > 2 * tickMs) tracked.startMs = nowMs;
    const options = { afterFirst: tracked.checks === 0 };
    tracked.intervalMs = nextIntervalMs(tracked.target.check.intervalMs, this.#random, options);
    tracked.checks++;
    this.#underWay.set(tracked.probeId, tracked);
    // While a probe is under way the wheel holds its last deadline: a result that never comes must not end the checks.
    this.#wheel.schedule(tracked, request.timeoutMs + graceMs);
    return { ...request, id: tracked.probeId };
  }

  #giveUp(lost: readonly Tracked[]): void {
    const ids: number[] = [];
    for (const tracked of lost) {
      this.#abandon(tracked, ids);
      this.#scheduleNext(tracked);
    }
    if (ids.length > 0) this.#prober.cancel(ids);
    const reply = { error: 'ENOANSWER', data: null };
    this.#startWaiting();
    this.#options.onOutcomes(lost.map((tracked) => ({ tracked, reply, elapsedUs: 0 })));
  }

  /** Collects in `ids` what the prober still has to be told. */
  #abandon(tracked: Tracked, ids: number[]): void {
    if (tracked.probeId === 0) return;
    if (tracked.abort === null) ids.push(tracked.probeId);
    else tracked.abort();
    this.#release(tracked);
  }

  #release(tracked: Tracked): void {
    this.#underWay.delete(tracked.probeId);
    tracked.probeId = 0;
    tracked.abort = null;
  }

  #scheduleNext(tracked: Tracked): void {
    tracked.startMs += tracked.intervalMs;
    this.#wheel.schedule(tracked, Math.max(0, tracked.startMs - this.#clock.monotonicMs()));
  }

  #onResults(results: readonly ProbeResult[]): void {
    const outcomes: Outcome[] = [];
    for (const result of results) {
      const tracked = this.#underWay.get(result.id);
      if (tracked === undefined) {
        if (result.fd >= 0) this.#options.tls.discard(result.fd);
      } else if (result.fd >= 0) this.#continueOverTls(tracked, result);
      else outcomes.push(this.#end(tracked, result, result.elapsedUs));
    }
    this.#startWaiting();
    if (outcomes.length > 0) this.#options.onOutcomes(outcomes);
  }

  #end(tracked: Tracked, reply: ProbeReply, elapsedUs: number): Outcome {
    this.#release(tracked);
    this.#scheduleNext(tracked);
    return { tracked, reply, elapsedUs };
  }

  /** The prober connected; what is left of the timeout is for handshake and reply. */
  #continueOverTls(tracked: Tracked, { fd, elapsedUs }: ProbeResult): void {
    const { request, tls } = tracked.compiled;
    if (tls === null) throw new Error(`the prober handed over a descriptor for "${tracked.target.key}" unasked`);
    const startedMs = this.#clock.monotonicMs();
    const timeoutMs = Math.max(1, request.timeoutMs - elapsedUs / 1000);
    const exchange = { ...tls, receive: headLimit, until: headEnd, timeoutMs };
    tracked.abort = this.#options.tls.exchange(fd, exchange, (reply) => {
      const tlsUs = (this.#clock.monotonicMs() - startedMs) * 1000;
      const outcome = this.#end(tracked, reply, Math.round(elapsedUs + tlsUs));
      this.#startWaiting();
      this.#options.onOutcomes([outcome]);
    });
  }
}
