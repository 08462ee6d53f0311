import type { SyncAddress } from '../dataplane/addon.js';
import type { Clock, RandomBytes } from './ports.js';
import { encodeControl } from './wire.js';

/** Challenge or answer may be lost. */
const AGAIN_MS = 50;
const AGAIN_TIMES = 3;
/** A challenge that is not answered by then is made anew at the next beacon. */
const ANSWER_MS = 200;
/** Of an older start of a node that is known by a newer one. */
const OLDER_ANSWER_MS = 2000;
const VALID_MS = 3000;
const MAX_ASKED = 256;
/** Challenges answered each second: recorded ones must not make this node a source of traffic. */
const ANSWERS_PER_SECOND = 200;

interface Asked {
  readonly nonce: bigint;
  readonly atMs: number;
}

export interface AdmissionOptions {
  readonly boot: bigint;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly send: (body: Uint8Array, to: SyncAddress) => void;
}

/**
 * "Are you there now?": a datagram that somebody recorded is genuine for ever, an answer to a fresh random number is
 * not to be had from the past.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #asked = new Map<string, Asked>();
  #second = 0;
  #answers = 0;
  #closed = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  ask({ node, boot, older }: { node: number; boot: bigint; older: boolean }, from: SyncAddress): void {
    const { clock, random, send } = this.#options;
    const key = `${node} ${boot}`;
    const now = clock.monotonicMs();
    const before = this.#asked.get(key);
    if (before !== undefined && now - before.atMs < (older ? OLDER_ANSWER_MS : ANSWER_MS)) return;
    this.#asked.delete(key);
    if (this.#asked.size >= MAX_ASKED && !this.#forgetStale(now)) return;
    const nonce = Buffer.from(random(8)).readBigUInt64LE();
    this.#asked.set(key, { nonce, atMs: now });
    const body = encodeControl({ challenge: { nonce, bootId: boot } });
    send(body, from);
    const again = (times: number): void => {
      clock.after(AGAIN_MS, () => {
        if (this.#closed || this.#asked.get(key)?.nonce !== nonce) return;
        send(body, from);
        if (times > 1) again(times - 1);
      });
    };
    if (!older) again(AGAIN_TIMES);
  }

  #forgetStale(now: number): boolean {
    for (const [key, { atMs }] of this.#asked) if (now - atMs > VALID_MS) this.#asked.delete(key);
    return this.#asked.size < MAX_ASKED;
  }

  /** True when it was answered. */
  answer({ nonce, bootId }: { nonce: bigint; bootId: bigint }, from: SyncAddress): boolean {
    const { boot, clock, send } = this.#options;
    if (bootId !== boot) return false;
    const second = Math.floor(clock.monotonicMs() / 1000);
    if (second !== this.#second) [this.#second, this.#answers] = [second, 0];
    if (++this.#answers > ANSWERS_PER_SECOND) return false;
    send(encodeControl({ answer: { nonce } }), from);
    return true;
  }

  close(): void {
    this.#closed = true;
  }

  /** Has this boot shown that it is there now? */
  proves({ node, boot, nonce }: { node: number; boot: bigint; nonce: bigint }): boolean {
    const key = `${node} ${boot}`;
    const asked = this.#asked.get(key);
    if (asked === undefined || asked.nonce !== nonce) return false;
    if (this.#options.clock.monotonicMs() - asked.atMs > VALID_MS) return false;
    // Kept with a number that no answer has: an older boot is not asked again at once.
    this.#asked.set(key, { nonce: -1n, atMs: asked.atMs });
    return true;
  }
}
