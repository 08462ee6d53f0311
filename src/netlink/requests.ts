import type { Message } from './decode.js';
import { NLM_F } from './kernel.js';
import type { Clock, NetlinkConnection, Timer } from './port.js';
import { concat } from './wire.js';

export interface Outcome {
  /** Positive; 0 = good. */
  readonly errno: number;
  /** The kernel's own words (extended acknowledgement). */
  readonly text: string | null;
}

export interface Request {
  encode(sequence: number): Uint8Array;
  /** A dump has the socket to itself: the kernel runs one at a time, and its answers fill the receive buffer. */
  readonly dump: boolean;
  onMessage?(message: Message): void;
  /** Once, unless the requests are reset before. */
  onEnd(outcome: Outcome): void;
}

export interface RequestsOptions {
  readonly clock: Clock;
  /** The kernel did not answer in time, or refused to take the requests: everything under way is forgotten. */
  readonly onStall: (reason: string) => void;
  /**
   * Requests under way at a time. The kernel answers within the call, into the receive buffer: 64 answers take about
   * 60 kB of it (212,992 bytes by default), which leaves room for notifications.
   */
  readonly window?: number;
  readonly timeoutMs?: number;
}

/** Then whoever asked decides when to ask again. */
const MAX_REPEATS = 10;
const EINTR = 4;

/** Requests over one socket: batched, paced, answers matched by sequence number. */
export class Requests {
  readonly #connection: NetlinkConnection;
  readonly #clock: Clock;
  readonly #onStall: (reason: string) => void;
  readonly #window: number;
  readonly #timeoutMs: number;
  #queue: Request[] = [];
  /** Taken from the front by index: shift() on a long array copies it. */
  #next = 0;
  readonly #underWay = new Map<number, { readonly request: Request; readonly interrupted: boolean }>();
  readonly #repeats = new WeakMap<Request, number>();
  #sequence = Math.floor(Math.random() * 0x7fffffff);
  /** Port number of the socket, learnt from the first answer to a dump; notifications name other ports. */
  #port: number | null = null;
  #watchdog: Timer | null = null;
  #progress = 0;

  constructor(connection: NetlinkConnection, options: RequestsOptions) {
    this.#connection = connection;
    this.#clock = options.clock;
    this.#onStall = options.onStall;
    this.#window = options.window ?? 64;
    this.#timeoutMs = options.timeoutMs ?? 2000;
  }

  get idle(): boolean {
    return this.#underWay.size === 0 && this.#next === this.#queue.length;
  }

  add(requests: readonly Request[]): void {
    for (const request of requests) this.#queue.push(request);
    this.#pump();
  }

  /** Forgets everything; late answers are ignored. */
  reset(): void {
    this.#queue = [];
    this.#next = 0;
    this.#underWay.clear();
    this.#watchdog?.cancel();
    this.#watchdog = null;
  }

  /** True when the message was an answer; then it is no notification. */
  take(message: Message): boolean {
    const { header } = message;
    const entry = this.#underWay.get(header.sequence);
    if (!entry || (this.#port !== null && header.port !== this.#port)) return false;
    const { request } = entry;
    // What a change sets off may name the socket that asked for it; its answer is the acknowledgement.
    if (message.kind !== 'error' && message.kind !== 'done' && !request.onMessage) return false;
    this.#progress++;
    if (request.dump && (header.flags & NLM_F.MULTI) !== 0) this.#port = header.port;
    if ((header.flags & NLM_F.DUMP_INTR) !== 0 && !entry.interrupted) {
      this.#underWay.set(header.sequence, { request, interrupted: true });
    }
    if (message.kind === 'error') {
      this.#end(header.sequence, request, message);
    } else if (message.kind === 'done') {
      // The table changed during the dump: what came is not one consistent picture, so it is asked for again.
      if (this.#underWay.get(header.sequence)?.interrupted) this.#repeat(header.sequence, request);
      else this.#end(header.sequence, request, { errno: message.errno, text: null });
    } else {
      request.onMessage?.(message);
      if (!request.dump) this.#end(header.sequence, request, { errno: 0, text: null });
    }
    return true;
  }

  #end(sequence: number, request: Request, outcome: Outcome): void {
    this.#underWay.delete(sequence);
    request.onEnd({ errno: outcome.errno, text: outcome.text });
    this.#pump();
  }

  #repeat(sequence: number, request: Request): void {
    const times = (this.#repeats.get(request) ?? 0) + 1;
    if (times > MAX_REPEATS) {
      this.#end(sequence, request, { errno: EINTR, text: `the table changed during each of ${times} dumps` });
      return;
    }
    this.#repeats.set(request, times);
    this.#underWay.delete(sequence);
    this.add([request]);
  }

  #pump(): void {
    // Half a window of hysteresis keeps the batches large.
    if (this.#underWay.size > this.#window / 2) return;
    const batch: Uint8Array[] = [];
    while (this.#next < this.#queue.length && this.#underWay.size < this.#window) {
      const request = this.#queue[this.#next]!;
      const [first] = this.#underWay.values();
      if (first && (request.dump || first.request.dump)) break;
      this.#next++;
      this.#sequence = (this.#sequence + 1) >>> 0 || 1;
      this.#underWay.set(this.#sequence, { request, interrupted: false });
      batch.push(request.encode(this.#sequence));
    }
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    if (batch.length === 0) return;
    this.#watch();
    try {
      this.#connection.send(concat(batch));
    } catch (error) {
      this.#stall(`the kernel refused netlink requests: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** An answer can be lost without a word (no memory for it): look for progress now and then. */
  #watch(): void {
    if (this.#watchdog) return;
    const seen = this.#progress;
    this.#watchdog = this.#clock.after(this.#timeoutMs, () => {
      this.#watchdog = null;
      if (this.#underWay.size === 0) return;
      if (this.#progress === seen) this.#stall(`no answer from netlink for ${this.#timeoutMs} ms`);
      else this.#watch();
    });
  }

  #stall(reason: string): void {
    this.reset();
    this.#onStall(reason);
  }
}
