import { awaitPrograms } from './addon.js';

/** Where the kernel cannot tell that all programs have returned: no CPU is held up for longer in the middle of one. */
export const HELD_UP_MS = 1000;

/** Every program that is running has returned when this resolves. */
export async function programsReturned(): Promise<void> {
  if (await awaitPrograms()) return;
  await new Promise<void>((resolve) => setTimeout(resolve, HELD_UP_MS));
}

/**
 * Maglev tables that no pool names any more. A CPU may have read the table's number just before, and still be about to
 * read its slots: written anew meanwhile, it would send the packet by another pool's table.
 */
export class TableRest {
  /** In the order in which they were freed. */
  readonly #freed = new Set<number>();
  /** Of those, the ones that a program may still be reading. */
  readonly #read = new Set<number>();

  constructor(private readonly returned: () => Promise<void>) {}

  /** The ones freed first are the best to fill next. Tables that are not here have not been in use. */
  get freed(): readonly number[] {
    return [...this.#freed];
  }

  /** `unread`: it has been out of reach for long, though it was named. */
  free(table: number, { unread }: { unread: boolean }): void {
    this.#freed.delete(table);
    this.#freed.add(table);
    if (!unread) this.#read.add(table);
  }

  /** It is about to be filled: resolves when nobody reads it. */
  async take(table: number): Promise<void> {
    if (this.#read.has(table)) {
      const before = [...this.#read];
      await this.returned();
      for (const one of before) this.#read.delete(one);
    }
    this.#freed.delete(table);
  }
}
