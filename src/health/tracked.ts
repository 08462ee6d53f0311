import { type CompiledCheck, compileCheck } from './check.js';
import type { CheckTarget, HealthChange, HealthRecord } from './types.js';
import { type Standing, type Verdict, weigh } from './verdict.js';

export const historyLimit = 16;

/** One target under check: what is known of it, and where its next or present probe stands. */
export class Tracked {
  /** Owned by the timer wheel. */
  dueTick = -1;
  /** Of the probe under way; 0 = none. */
  probeId = 0;
  /** When the probe under way was to start, or the next one is; monotonic. */
  startMs = 0;
  /** Length of the interval that the probe under way began. */
  intervalMs = 0;
  /** Ends a TLS exchange under way. */
  abort: (() => void) | null = null;
  /** Since it was added or its spec changed. */
  checks = 0;

  #target: CheckTarget;
  #compiled: CompiledCheck | null = null;
  #standing: Standing = { state: 'unknown', streak: 0 };
  #sinceMs: number;
  #reason = 'not checked yet';
  #lastCheckUs: number | null = null;
  #history: readonly HealthChange[] = [];

  constructor(target: CheckTarget, nowMs: number) {
    this.#target = target;
    this.#sinceMs = nowMs;
  }

  get target(): CheckTarget {
    return this.#target;
  }

  /** Made at the first probe: a configuration of 50,000 targets is taken over at once and compiled as it is checked. */
  get compiled(): CompiledCheck {
    this.#compiled ??= compileCheck(this.#target);
    return this.#compiled;
  }

  /** Takes another spec and keeps what is known; evidence gathered under the old spec does not count on. */
  respecify(target: CheckTarget): this {
    this.#target = target;
    this.#compiled = null;
    this.checks = 0;
    this.#standing = { state: this.#standing.state, streak: 0 };
    return this;
  }

  /** Only before the first result: what was checked since is newer than any memory. */
  restore(record: HealthRecord): void {
    if (this.#standing.state !== 'unknown') return;
    this.#standing = { state: record.state, streak: 0 };
    this.#sinceMs = record.sinceMs;
    this.#reason = record.reason;
    this.#lastCheckUs = record.lastCheckUs;
    this.#history = record.history.slice(0, historyLimit);
  }

  /** Returns the change that this result makes, or null. */
  take(verdict: Exclude<Verdict, { kind: 'local' }>, atMs: number, elapsedUs: number): HealthChange | null {
    this.#lastCheckUs = elapsedUs;
    const pass = verdict.kind === 'passed';
    const { rise } = this.target.check;
    const before = this.#standing;
    this.#standing = weigh(before, pass, this.target.check);
    const [from, to] = [before.state, this.#standing.state];
    if (from === to) {
      // The newest failure says more about a backend that is down than the one that took it out.
      if (to === 'unhealthy' && verdict.kind === 'failed') this.#reason = verdict.reason;
      return null;
    }
    const first = from === 'unknown' || rise === 1;
    const reason = verdict.kind === 'failed' ? verdict.reason : first ? 'check passed' : `${rise} checks passed`;
    const change: HealthChange = { key: this.target.key, atMs, from, to, reason };
    this.#sinceMs = atMs;
    this.#reason = reason;
    this.#history = [change, ...this.#history].slice(0, historyLimit);
    return change;
  }

  record(): HealthRecord {
    return {
      key: this.target.key,
      state: this.#standing.state,
      sinceMs: this.#sinceMs,
      reason: this.#reason,
      lastCheckUs: this.#lastCheckUs,
      history: this.#history,
    };
  }
}
