import type { EarlyFragment } from './early-fragments.js';

/** What became of a fragment that came before its datagram's first one. */
export type FragmentEnd = 'sent' | 'expired' | 'overflow' | 'failed';

export interface FragmentHolderOptions {
  /** Has the first fragment of this datagram come by now? */
  readonly isKnown: (tag: bigint) => boolean;
  /** Through the data path again. @throws where the kernel cannot. */
  readonly send: (fragment: EarlyFragment) => void;
  readonly onEnd: (end: FragmentEnd) => void;
  /** The kernel refused one: told once. */
  readonly onRefused: (error: unknown) => void;
  readonly clock: { monotonicMs(): number; after(delayMs: number, run: () => void): () => void };
}

/** A host that waits for fragments longer than that gives the datagram up, too, more often than not. */
const HOLD_MS = 1000;
/** Two kilobytes each at most. */
const MOST_HELD = 1024;
/** Parts of a datagram that have changed places come within a millisecond or so. */
const LOOK_AGAIN_MS = 3;

interface Held {
  readonly fragment: EarlyFragment;
  readonly sinceMs: number;
  /** When it is looked at again: the longer it has waited, the later, so that a flood of them costs little. */
  nextMs: number;
}

/** Keeps early fragments until the first one of their datagram has come, for a second at most, in little memory. */
export class FragmentHolder {
  readonly #options: FragmentHolderOptions;
  #held: Held[] = [];
  #cancel: (() => void) | null = null;
  #refused = false;

  constructor(options: FragmentHolderOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#held.length;
  }

  take(fragments: readonly EarlyFragment[]): void {
    const sinceMs = this.#options.clock.monotonicMs();
    for (const fragment of fragments) {
      if (this.#held.length < MOST_HELD) this.#held.push({ fragment, sinceMs, nextMs: sinceMs });
      else this.#options.onEnd('overflow');
    }
    if (this.#held.length > 0 && this.#cancel === null) this.#look();
  }

  #look(): void {
    const { isKnown, clock, onEnd } = this.#options;
    const nowMs = clock.monotonicMs();
    const waiting: Held[] = [];
    for (const held of this.#held) {
      const waitedMs = nowMs - held.sinceMs;
      if (nowMs < held.nextMs) waiting.push(held);
      else if (isKnown(held.fragment.tag)) this.#send(held.fragment);
      else if (waitedMs >= HOLD_MS) onEnd('expired');
      else {
        held.nextMs = nowMs + Math.min(waitedMs / 2, HOLD_MS - waitedMs);
        waiting.push(held);
      }
    }
    this.#held = waiting;
    this.#cancel = waiting.length > 0 ? clock.after(LOOK_AGAIN_MS, () => this.#look()) : null;
  }

  #send(fragment: EarlyFragment): void {
    const { send, onEnd, onRefused } = this.#options;
    try {
      send(fragment);
      onEnd('sent');
    } catch (error) {
      onEnd('failed');
      if (!this.#refused) onRefused(error);
      this.#refused = true;
    }
  }

  /** What is held is given up. */
  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#held = [];
  }
}
