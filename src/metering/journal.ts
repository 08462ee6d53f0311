import type { MeteringFiles } from './files.js';
import { lineOf, parseLine } from './line.js';
import type { MeteringRecord } from './types.js';

/** Lines for one day's file, and where in it they belong: to write them twice is to write them once. */
export interface Entry {
  /** "2026-01-02", UTC. */
  readonly day: string;
  readonly offset: number;
  readonly text: string;
}

const DAY_MS = 24 * 3_600_000;
const CHUNK = 1 << 20;
/** A last line longer than this is none of ours. */
const LONGEST_LINE = 1 << 16;
/** A clock that is wrong for an hour must not cost a year of files. */
const MOST_REMOVED = 2;
const NEWLINE = 0x0a;
const namePattern = /^(\d{4}-\d\d-\d\d)\.jsonl$/;

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The files of finished hours, one a day, each line a record. Written by one process, at the end only. */
export class Journal {
  constructor(
    private readonly folder: string,
    private readonly files: MeteringFiles,
    /** Something was found damaged, and mended: in words. */
    private readonly onDamage: (text: string) => void,
  ) {}

  path(day: string): string {
    return `${this.folder}/${day}.jsonl`;
  }

  /** Days that have a file, in order. */
  async days(): Promise<readonly string[]> {
    const names = await this.files.list(this.folder);
    return names.flatMap((name) => namePattern.exec(name)?.[1] ?? []).sort();
  }

  size(day: string): Promise<number | null> {
    return this.files.size(this.path(day));
  }

  /** Places for these records behind what is in the files, and behind `waiting`, which is not there yet. */
  async place(records: readonly MeteringRecord[], waiting: readonly Entry[]): Promise<readonly Entry[]> {
    const texts = new Map<string, string>();
    for (const record of records) {
      const day = dayOf(record.hourMs);
      texts.set(day, (texts.get(day) ?? '') + lineOf(record));
    }
    const entries: Entry[] = [];
    for (const [day, text] of texts) {
      const before = waiting.findLast((entry) => entry.day === day);
      const offset = before === undefined ? await this.#end(day) : before.offset + Buffer.byteLength(before.text);
      entries.push({ day, offset, text });
    }
    return entries;
  }

  /** On disk when it resolves. What a crash or a full disk left of an earlier try is completed. */
  async write({ day, offset, text }: Entry): Promise<void> {
    const bytes = Buffer.from(text);
    const size = (await this.size(day)) ?? 0;
    const there =
      size > offset ? await this.files.readAt(this.path(day), { offset, length: bytes.length }) : Buffer.alloc(0);
    if (size >= offset && there.equals(bytes.subarray(0, there.length))) {
      if (there.length < bytes.length)
        await this.#writeAt(day, { offset: offset + there.length, bytes: bytes.subarray(there.length) });
      return;
    }
    this.onDamage(`${this.path(day)} was changed by another hand: lines were added at its end`);
    await this.#writeAt(day, { offset: await this.#end(day), bytes });
  }

  #writeAt(day: string, write: { offset: number; bytes: Buffer }): Promise<void> {
    return this.files.writeAt(this.path(day), write);
  }

  /** Where the next line begins. A last line that was cut short is taken out, or ended where it is whole. */
  async #end(day: string): Promise<number> {
    const size = (await this.size(day)) ?? 0;
    if (size === 0) return 0;
    const from = Math.max(0, size - LONGEST_LINE);
    const tail = await this.files.readAt(this.path(day), { offset: from, length: size - from });
    if (tail.at(-1) === NEWLINE) return size;
    const begin = tail.lastIndexOf(NEWLINE) + 1;
    const line = tail.toString('utf8', begin);
    if (parseLine(line) !== null) {
      await this.#writeAt(day, { offset: size, bytes: Buffer.from('\n') });
      return size + 1;
    }
    await this.files.truncate(this.path(day), from + begin);
    this.onDamage(
      `${this.path(day)} ended in the middle of a line: ${size - from - begin} bytes were taken out (${line.slice(0, 100)})`,
    );
    return from + begin;
  }

  /** Mends the end of the last file, as it is done before lines are added. */
  async mend(): Promise<void> {
    const last = (await this.days()).at(-1);
    if (last !== undefined) await this.#end(last);
  }

  /** Records of a day's first `limit` bytes; null: all of them. Lets other work run in between. */
  async *read(day: string, limit: number | null): AsyncGenerator<readonly MeteringRecord[], void, void> {
    const size = (await this.size(day)) ?? 0;
    const end = Math.min(size, limit ?? size);
    let rest = Buffer.alloc(0);
    let bad = 0;
    for (let offset = 0; offset < end; offset += CHUNK) {
      const length = Math.min(CHUNK, end - offset);
      const chunk = Buffer.concat([rest, await this.files.readAt(this.path(day), { offset, length })]);
      const last = chunk.lastIndexOf(NEWLINE) + 1;
      rest = chunk.subarray(last);
      const lines = chunk.toString('utf8', 0, last).split('\n').slice(0, -1);
      const records = lines.flatMap((line) => parseLine(line) ?? []);
      bad += lines.length - records.length;
      yield records;
    }
    if (rest.length > 0) bad++;
    if (bad > 0)
      this.onDamage(`${this.path(day)}: ${bad} line${bad === 1 ? '' : 's'} that are no records were left out`);
  }

  /** Removes files older than `keepDays`, few at a time. Names of what went. */
  async removeOld(nowMs: number, keepDays: number): Promise<readonly string[]> {
    const oldest = dayOf(nowMs - keepDays * DAY_MS);
    const old = (await this.days()).filter((day) => day < oldest).slice(0, MOST_REMOVED);
    for (const day of old) await this.files.remove(this.path(day));
    return old;
  }
}
