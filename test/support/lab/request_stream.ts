import { type Answer, type RequestOptions, request } from './request.js';

export interface StreamOptions extends RequestOptions {
  readonly perSecond: number;
}

export interface Failure {
  /** Wall clock, when it was begun. */
  readonly atMs: number;
  readonly error: string;
  readonly localPort: number;
}

export interface RequestReport {
  readonly sent: number;
  readonly answered: number;
  readonly failures: readonly Failure[];
  readonly byBackend: Readonly<Record<string, number>>;
  /** When the last one that each backend answered was begun; wall clock. */
  readonly lastMsByBackend: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  /** Took longer than a second: something was sent again. */
  readonly slow: number;
}

const beatMs = 10;

/** Requests at a fixed rate, each over a connection of its own; a late beat is made up for. */
export class RequestStream {
  readonly #options: StreamOptions;
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #underWay = new Set<Promise<void>>();
  readonly #failures: Failure[] = [];
  readonly #byBackend: Record<string, number> = {};
  readonly #lastMsByBackend: Record<string, number> = {};
  #sent = 0;
  #answered = 0;
  #slowestMs = 0;
  #slow = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#beat(), beatMs);
  }

  #beat(): void {
    const due = ((performance.now() - this.#startedMs) / 1000) * this.#options.perSecond;
    while (this.#sent < due) {
      this.#sent++;
      const atMs = Date.now();
      const one = request(this.#options).then((answer) => {
        this.#take(answer, atMs);
        this.#underWay.delete(one);
      });
      this.#underWay.add(one);
    }
  }

  #take({ error, hello, localPort, tookMs }: Answer, atMs: number): void {
    if (hello === null) {
      this.#failures.push({ atMs, error, localPort });
      return;
    }
    this.#answered++;
    this.#byBackend[hello.backend] = (this.#byBackend[hello.backend] ?? 0) + 1;
    this.#lastMsByBackend[hello.backend] = Math.max(this.#lastMsByBackend[hello.backend] ?? 0, atMs);
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (tookMs > 1000) this.#slow++;
  }

  report(): RequestReport {
    return {
      sent: this.#sent,
      answered: this.#answered,
      failures: [...this.#failures],
      byBackend: { ...this.#byBackend },
      lastMsByBackend: { ...this.#lastMsByBackend },
      slowestMs: this.#slowestMs,
      slow: this.#slow,
    };
  }

  /** Begins no more, and reports when all have ended. */
  async stop(): Promise<RequestReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return this.report();
  }
}
