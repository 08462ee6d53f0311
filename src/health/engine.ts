import { sameSpec } from './check.js';
import type { Clock, ProberFactory, Random, TlsPort } from './ports.js';
import { type Outcome, Probing } from './probing.js';
import { LocalErrors } from './problems.js';
import { Tracked } from './tracked.js';
import type { CheckTarget, HealthChange, HealthRecord } from './types.js';

export interface HealthEngineOptions {
  /** Makes the prober, which the engine closes: `(onResults) => new addon.Prober(onResults)`. */
  readonly prober: ProberFactory;
  readonly tls: TlsPort;
  readonly clock: Clock;
  readonly random: Random;
  /** Checks under way at once; unlimited without. */
  readonly concurrency?: number;
  /** Never empty. Called when all results of a batch were taken, so it may call the engine. */
  readonly onChanges: (changes: readonly HealthChange[]) => void;
  /** Each check that was made, for statistics. */
  readonly onCheck?: (check: { kind: 'tcp' | 'http' | 'udp'; success: boolean; durationMs: number }) => void;
}

/** Since the engine was made; `targets` and `underWay`: now. */
export interface HealthCounters {
  readonly targets: number;
  readonly underWay: number;
  readonly passed: number;
  readonly failed: number;
  /** Checks that this host could not make. */
  readonly localErrors: number;
  readonly changes: number;
}

export interface HealthEngine {
  /**
   * The targets from now on. A key that stays keeps its state; with another spec it is checked anew at once; a key
   * that is gone is forgotten. Cheap where `check` is the same object as before.
   */
  setTargets(targets: readonly CheckTarget[]): void;
  record(key: string): HealthRecord | null;
  /** In the order of setTargets. */
  records(): readonly HealthRecord[];
  /** States of an earlier run, to be given before the first setTargets: keys that it does not name are forgotten. */
  restore(records: readonly HealthRecord[]): void;
  /** What restore() takes: every state that is known. */
  snapshot(): readonly HealthRecord[];
  /** Why this host cannot make its checks, in words; empty when all is well. */
  problems(): readonly string[];
  counters(): HealthCounters;
  /** Idempotent. Ends all probes; records stay readable. */
  close(): void;
}

export function createHealthEngine(options: HealthEngineOptions): HealthEngine {
  return new Engine(options);
}

class Engine implements HealthEngine {
  readonly #clock: Clock;
  readonly #onChanges: HealthEngineOptions['onChanges'];
  readonly #onCheck: NonNullable<HealthEngineOptions['onCheck']>;
  readonly #probing: Probing;
  readonly #localErrors: LocalErrors;
  readonly #tracked = new Map<string, Tracked>();
  #restored: ReadonlyMap<string, HealthRecord> = new Map();
  /** As in the last setTargets. */
  #inOrder: readonly Tracked[] = [];
  #counts = { passed: 0, failed: 0, changes: 0 };
  #closed = false;

  constructor(options: HealthEngineOptions) {
    this.#clock = options.clock;
    this.#onChanges = options.onChanges;
    this.#onCheck = options.onCheck ?? (() => {});
    this.#localErrors = new LocalErrors(options.clock);
    this.#probing = new Probing({ ...options, onOutcomes: (outcomes) => this.#take(outcomes) });
  }

  setTargets(targets: readonly CheckTarget[]): void {
    if (this.#closed) return;
    if (!this.#hasKeysInOrder(targets)) this.#replaceKeys(targets);
    const altered: Tracked[] = [];
    this.#inOrder.forEach((tracked, i) => {
      const target = targets[i]!;
      if (!sameSpec(tracked.target, target)) altered.push(tracked.respecify(target));
    });
    this.#probing.stop(altered);
    this.#probing.begin(altered);
    this.#restored = new Map();
  }

  record(key: string): HealthRecord | null {
    return this.#tracked.get(key)?.record() ?? null;
  }

  records(): readonly HealthRecord[] {
    return this.#inOrder.map((tracked) => tracked.record());
  }

  restore(records: readonly HealthRecord[]): void {
    this.#restored = new Map(records.map((record) => [record.key, record]));
    for (const record of records) this.#tracked.get(record.key)?.restore(record);
  }

  snapshot(): readonly HealthRecord[] {
    const waiting = Array.from(this.#restored.values()).filter(({ key }) => !this.#tracked.has(key));
    return [...this.records().filter(({ state }) => state !== 'unknown'), ...waiting];
  }

  problems(): readonly string[] {
    return this.#localErrors.list();
  }

  counters(): HealthCounters {
    return {
      ...this.#counts,
      targets: this.#tracked.size,
      underWay: this.#probing.underWay,
      localErrors: this.#localErrors.total,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#probing.close();
  }

  /** Most new configurations are of the same backends: then nothing needs to be looked up. */
  #hasKeysInOrder(targets: readonly CheckTarget[]): boolean {
    if (targets.length !== this.#inOrder.length) return false;
    return targets.every(({ key }, i) => key === this.#inOrder[i]!.target.key);
  }

  #replaceKeys(targets: readonly CheckTarget[]): void {
    const wanted = new Set<string>();
    for (const { key } of targets) {
      if (wanted.has(key)) throw new Error(`health target "${key}" is listed twice`);
      wanted.add(key);
    }
    const gone = this.#inOrder.filter(({ target }) => !wanted.has(target.key));
    for (const { target } of gone) this.#tracked.delete(target.key);
    const added: Tracked[] = [];
    this.#inOrder = targets.map((target) => {
      const known = this.#tracked.get(target.key);
      if (known !== undefined) return known;
      const fresh = this.#add(target);
      added.push(fresh);
      return fresh;
    });
    this.#probing.stop(gone);
    this.#probing.begin(added);
  }

  #add(target: CheckTarget): Tracked {
    const tracked = new Tracked(target, this.#clock.wallMs());
    const memory = this.#restored.get(target.key);
    if (memory !== undefined) tracked.restore(memory);
    this.#tracked.set(target.key, tracked);
    return tracked;
  }

  #take(outcomes: readonly Outcome[]): void {
    const changes: HealthChange[] = [];
    const atMs = this.#clock.wallMs();
    for (const { tracked, reply, elapsedUs } of outcomes) {
      const verdict = tracked.compiled.judge(reply);
      if (verdict.kind === 'local') {
        this.#localErrors.count(verdict.error);
        continue;
      }
      this.#counts[verdict.kind]++;
      const { kind } = tracked.target.check.probe;
      this.#onCheck({ kind, success: verdict.kind === 'passed', durationMs: elapsedUs / 1000 });
      const change = tracked.take(verdict, atMs, elapsedUs);
      if (change !== null) changes.push(change);
    }
    if (changes.length === 0) return;
    this.#counts.changes += changes.length;
    this.#onChanges(changes);
  }
}
