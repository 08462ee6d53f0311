import type { Verdicts } from '../cluster/types.js';
import type { Clock } from './ports.js';
import { encodeControl, type VerdictPage } from './wire.js';

/** Ids of 8 bytes in a datagram of 1,400. */
const PAGE_IDS = 150;
const MAX_PAGES = 1024;
const PACE_MS = 5;
const REPUBLISH_MS = 2000;
/** After another node was admitted: it has to admit this one, too. */
const SOON_MS = 100;
/** Verdicts that were not said again for so long are no opinion any more. */
const FRESH_MS = 10_000;

/** Cuts verdicts into pages that fit a datagram each; at least one, for "all are healthy" has to be said, too. */
export function pagesOf({ configDigest, unhealthy, unknown }: Verdicts, edition: bigint): VerdictPage[] {
  const ids = [...[...unhealthy].map((id) => ({ id, bad: true })), ...[...unknown].map((id) => ({ id, bad: false }))];
  const pages = Math.min(MAX_PAGES, Math.max(1, Math.ceil(ids.length / PAGE_IDS)));
  return Array.from({ length: pages }, (_, page) => {
    const part = ids.slice(page * PAGE_IDS, (page + 1) * PAGE_IDS);
    return {
      configDigest,
      edition,
      page,
      pages,
      unhealthy: part.filter(({ bad }) => bad).map(({ id }) => id),
      unknown: part.filter(({ bad }) => !bad).map(({ id }) => id),
    };
  });
}

/** Says this node's verdicts: at each change, and all of them again now and then, a page at a time. */
export class VerdictSender {
  readonly #options: { clock: Clock; send: (body: Uint8Array) => void };
  #verdicts: Verdicts | null = null;
  #edition = 0n;
  #queue: VerdictPage[] = [];
  #cancelPage: (() => void) | null = null;
  #cancelAgain: (() => void) | null = null;
  /** There are newer ones than those that the queue is of. */
  #newer = false;

  constructor(options: { clock: Clock; send: (body: Uint8Array) => void }) {
    this.#options = options;
  }

  set(verdicts: Verdicts): void {
    if (this.#verdicts !== null && sameVerdicts(this.#verdicts, verdicts)) return;
    this.#verdicts = verdicts;
    this.#edition++;
    // An edition is taken whole or not at all: where thousands fail one after the other, none would ever be whole.
    if (this.#queue.length > 0) this.#newer = true;
    else this.publish();
  }

  publishSoon(): void {
    if (this.#cancelPage !== null) return;
    this.#cancelAgain?.();
    this.#cancelAgain = this.#options.clock.after(SOON_MS, () => this.publish());
  }

  /** All pages from the first, again. */
  publish(): void {
    if (this.#verdicts === null) return;
    this.#queue = pagesOf(this.#verdicts, this.#edition);
    this.#newer = false;
    this.#cancelAgain?.();
    this.#cancelAgain = null;
    if (this.#cancelPage === null) this.#next();
  }

  #next(): void {
    const page = this.#queue.shift();
    this.#cancelPage = null;
    const { clock, send } = this.#options;
    if (page === undefined) {
      this.#cancelAgain = clock.after(REPUBLISH_MS, () => this.publish());
      return;
    }
    send(encodeControl({ verdicts: page }));
    this.#cancelPage = clock.after(PACE_MS, () => this.#next());
    if (this.#queue.length === 0 && this.#newer) this.publish();
  }

  close(): void {
    this.#cancelPage?.();
    this.#cancelAgain?.();
    this.#verdicts = null;
    this.#queue = [];
  }
}

function sameVerdicts(a: Verdicts, b: Verdicts): boolean {
  return a.configDigest === b.configDigest && sameSet(a.unhealthy, b.unhealthy) && sameSet(a.unknown, b.unknown);
}

function sameSet(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): boolean {
  if (a.size !== b.size) return false;
  for (const id of a) if (!b.has(id)) return false;
  return true;
}

/** Puts one peer's pages together: the verdicts of an edition count once all of it is there. */
export class VerdictReader {
  #whole: Verdicts | null = null;
  #wholeEdition = 0n;
  #heardMs = 0;
  #edition = 0n;
  #pages = new Map<number, VerdictPage>();

  /** True when the verdicts are others now. */
  take(page: VerdictPage, nowMs: number): boolean {
    const { edition, pages } = page;
    if (pages < 1 || pages > MAX_PAGES || page.page >= pages) return false;
    if (edition < this.#wholeEdition || edition < this.#edition) return false;
    if (edition === this.#wholeEdition) {
      const wasStale = this.verdicts(nowMs) === null;
      this.#heardMs = nowMs;
      return wasStale;
    }
    if (edition > this.#edition) [this.#edition, this.#pages] = [edition, new Map()];
    this.#pages.set(page.page, page);
    if (this.#pages.size < pages) return false;
    const parts = [...this.#pages.values()];
    this.#whole = {
      configDigest: page.configDigest,
      unhealthy: new Set(parts.flatMap(({ unhealthy }) => unhealthy)),
      unknown: new Set(parts.flatMap(({ unknown }) => unknown)),
    };
    [this.#wholeEdition, this.#heardMs, this.#pages] = [edition, nowMs, new Map()];
    return true;
  }

  /** null: none yet, or none of late. */
  verdicts(nowMs: number): Verdicts | null {
    return this.#whole !== null && nowMs - this.#heardMs <= FRESH_MS ? this.#whole : null;
  }
}
