import type { Clock } from './ports.js';
import type { SyncCounters } from './types.js';

const LOOK_MS = 1000;
/** What was seen once is spoken of for so long. */
const SPOKEN_MS = 30_000;

type Watched = keyof SyncCounters;

const words: Partial<Record<Watched, (count: bigint) => string>> = {
  droppedUnauthenticated: (count) =>
    `${count} datagrams in the last second were signed by no key of this node: another cluster on the same group and ` +
    'port, or a node with another clusterSecretFile or sync.keyFile',
  droppedVersion: (count) =>
    `${count} datagrams in the last second were of a version of the sync stream that this node does not read: ` +
    'upgrade one step at a time',
};

/** Turns counts that should stand still into words. */
export class DropWatch {
  readonly #spoken = new Map<Watched, { text: string; atMs: number }>();
  #before: SyncCounters;
  #cancel: () => void = () => {};

  constructor(private readonly options: { clock: Clock; counters: () => SyncCounters; onChange: () => void }) {
    this.#before = options.counters();
    this.#later();
  }

  #later(): void {
    this.#cancel = this.options.clock.after(LOOK_MS, () => {
      this.#look();
      this.#later();
    });
  }

  #look(): void {
    const now = this.options.counters();
    const atMs = this.options.clock.monotonicMs();
    for (const [name, say] of Object.entries(words) as [Watched, (count: bigint) => string][]) {
      const count = now[name] - this.#before[name];
      if (count <= 0n) continue;
      if (!this.#spoken.has(name)) this.options.onChange();
      this.#spoken.set(name, { text: say(count), atMs });
    }
    this.#before = now;
  }

  problems(): readonly string[] {
    const now = this.options.clock.monotonicMs();
    for (const [name, { atMs }] of this.#spoken) if (now - atMs > SPOKEN_MS) this.#spoken.delete(name);
    return [...this.#spoken.values()].map(({ text }) => text);
  }

  close(): void {
    this.#cancel();
  }
}
