import type { Voter } from '../cluster/agreement.js';
import type { Verdicts } from '../cluster/types.js';
import type { Clock } from '../health/ports.js';

export interface Heard {
  readonly name: string;
  readonly verdicts: Verdicts;
}

/** A new configuration reaches one node after the other; within this time all of them should have it. */
const ROLLOUT_MS = 30_000;
const MOST_EDITIONS = 64;

/**
 * Which of this node's checks its peers have, too. A peer that wants what this node wants has all; one that wants what
 * this node wanted before, all but those that came since; one that wants what this node does not know has, for the time
 * that a new configuration takes to go round, what it had. Else each change of one node after the other would for a
 * moment leave every node with its own word alone, and one with a bad interface would then take backends out.
 */
export class VoterBook {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'after'>;
  readonly #onExpiry: () => void;
  /** Of each check, the edition of the configuration in which it came. */
  readonly #came = new Map<bigint, number>();
  readonly #editions = new Map<bigint, number>();
  readonly #lastKnown = new Map<string, { readonly edition: number; leftAtMs: number | null }>();
  #edition = 0;
  #cancel = (): void => {};

  constructor(options: { clock: Pick<Clock, 'monotonicMs' | 'after'>; onExpiry: () => void }) {
    this.#clock = options.clock;
    this.#onExpiry = options.onExpiry;
  }

  /** Before the checks of a new configuration are added. */
  want(configDigest: bigint): void {
    this.#edition++;
    this.#editions.delete(configDigest);
    this.#editions.set(configDigest, this.#edition);
    if (this.#editions.size > MOST_EDITIONS) this.#editions.delete(this.#editions.keys().next().value!);
  }

  add(id: bigint): void {
    this.#came.set(id, this.#edition);
  }

  remove(id: bigint): void {
    this.#came.delete(id);
  }

  votersOf(heard: readonly Heard[]): readonly Voter[] {
    const names = new Set(heard.map(({ name }) => name));
    for (const name of this.#lastKnown.keys()) if (!names.has(name)) this.#lastKnown.delete(name);
    const voters = heard.map(({ name, verdicts: { configDigest, unhealthy, unknown } }): Voter => {
      const edition = this.#editionOf(name, configDigest);
      return { unhealthy, unknown, has: (id) => (this.#came.get(id) ?? Number.POSITIVE_INFINITY) <= edition };
    });
    this.#awaitExpiry();
    return voters;
  }

  /** 0: nothing of what this node wants need be wanted there. */
  #editionOf(name: string, configDigest: bigint): number {
    const edition = this.#editions.get(configDigest);
    if (edition !== undefined) {
      this.#lastKnown.set(name, { edition, leftAtMs: null });
      return edition;
    }
    const last = this.#lastKnown.get(name);
    if (last === undefined) return 0;
    last.leftAtMs ??= this.#clock.monotonicMs();
    return this.#clock.monotonicMs() - last.leftAtMs < ROLLOUT_MS ? last.edition : 0;
  }

  #awaitExpiry(): void {
    this.#cancel();
    const now = this.#clock.monotonicMs();
    const waits = [...this.#lastKnown.values()].flatMap(({ leftAtMs }) => {
      const left = leftAtMs === null ? 0 : leftAtMs + ROLLOUT_MS - now;
      return left > 0 ? [left] : [];
    });
    this.#cancel = waits.length === 0 ? () => {} : this.#clock.after(Math.min(...waits), this.#onExpiry);
  }

  close(): void {
    this.#cancel();
  }
}
