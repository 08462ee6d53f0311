import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HealthChange, HealthRecord } from './types.js';

const magic = 'spillway-health 1';

export interface LoadedHealth {
  readonly records: readonly HealthRecord[];
  /** Why records are missing, with the name of the file set aside; null when all is well or there was no file. */
  readonly problem: string | null;
}

/** Health over restarts of the agent: one line with the SHA-256 of the rest, then the records as JSON. */
export class HealthStore {
  readonly #path: string;
  #writing: Promise<void> | null = null;
  #next: readonly HealthRecord[] | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws only what the file system throws, except ENOENT: no file is no memory. */
  async load(options: { nowMs: number }): Promise<LoadedHealth> {
    const text = await readFile(this.#path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return { records: [], problem: null };
    const parsed = parse(text);
    if (typeof parsed !== 'string') return { records: parsed, problem: null };
    const aside = `${this.#path}.damaged-${options.nowMs}`;
    await rename(this.#path, aside);
    return { records: [], problem: `${this.#path}: ${parsed}; set aside as ${aside}, backends are checked anew` };
  }

  /**
   * On disk when it resolves: the file is the old one or the new one, whole, whatever fails in between. While one
   * write is under way, later calls share one more, of the newest records.
   */
  save(records: readonly HealthRecord[]): Promise<void> {
    this.#next = records;
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#next !== null) {
      const body = JSON.stringify(this.#next);
      this.#next = null;
      await this.#write(`${magic} ${digest(body)}\n${body}\n`);
    }
  }

  async #write(text: string): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    const directory = await open(dirname(this.#path), 'r');
    await directory.sync().finally(() => directory.close());
  }
}

function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** The records, or what is wrong. */
function parse(text: string): readonly HealthRecord[] | string {
  const newline = text.indexOf('\n');
  const header = text.slice(0, newline);
  const body = text.slice(newline + 1).trimEnd();
  if (!header.startsWith(`${magic} `)) return `first line is not "${magic}"`;
  if (header.slice(magic.length + 1) !== digest(body)) return 'checksum does not match';
  const records = parseJson(body);
  if (!Array.isArray(records) || !records.every(isRecord)) return 'a record has another shape';
  return records;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const states: readonly unknown[] = ['healthy', 'unhealthy', 'unknown'];

function isRecord(value: unknown): value is HealthRecord {
  const record = value as Partial<HealthRecord> | null;
  return (
    typeof record?.key === 'string' &&
    states.includes(record.state) &&
    typeof record.sinceMs === 'number' &&
    typeof record.reason === 'string' &&
    (record.lastCheckUs === null || typeof record.lastCheckUs === 'number') &&
    Array.isArray(record.history) &&
    record.history.every(isChange)
  );
}

function isChange(value: unknown): value is HealthChange {
  const change = value as Partial<HealthChange> | null;
  return (
    typeof change?.key === 'string' &&
    typeof change.atMs === 'number' &&
    states.includes(change.from) &&
    states.includes(change.to) &&
    typeof change.reason === 'string'
  );
}
