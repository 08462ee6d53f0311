import { UnavailableError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from './checkpoint.js';
import { begin, disown, own, peak, recordsOf, renewed, sample } from './count.js';
import { type MeteringFiles, nodeFiles } from './files.js';
import { dayOf, type Entry, Journal } from './journal.js';
import { merged, parseLine } from './line.js';
import { takeAll } from './reports.js';
import type { MeteringState, Owners } from './state.js';
import { type Count, HOUR_MS, hourOf, type MeteringRecord, type Report, type Reported } from './types.js';

/** The kernel's counters, by service number. */
export interface KernelCounters {
  /** Names these maps among all that ever were. */
  readonly generation: string;
  /** Of service numbers that the maps have room for. */
  readonly most: number;
  /** Is it in the kernel's table of services? */
  readonly known: (service: number) => boolean;
  read(highest: number): (service: number) => Count;
}

export interface MeterOptions {
  readonly folder: string;
  readonly keepDays: number;
  /** Reporters that may be known at once. */
  readonly reporters: number;
  readonly counters: KernelCounters;
  readonly now: () => number;
  /** Never jumps. */
  readonly monotonic: () => number;
  readonly files?: MeteringFiles;
  /** Something was found damaged: in words. */
  readonly onDamage: (text: string) => void;
  /** The disk refuses; said once, until it takes again. */
  readonly onRefusal: (error: Error) => void;
  /** Reports that come within it share a checkpoint. */
  readonly gatherMs?: number;
}

interface Waiting {
  readonly report: Report;
  readonly resolve: (unknownVips: readonly Ip[]) => void;
  readonly reject: (error: unknown) => void;
}

const PERIOD_MS = 5000;
/** Writing checkpoints takes at most this share of the time. */
const SHARE = 0.01;
const GATHER_MS = 30;

/** What each LoadBalancer carries, hour by hour: see README.md for how nothing is lost or counted twice. */
export class Meter {
  readonly #options: MeterOptions;
  readonly #files: MeteringFiles;
  readonly #journal: Journal;
  readonly #path: string;
  #state!: MeteringState;
  #outbox: readonly Entry[] = [];
  #sampledAt = 0;
  /** Counts changes. */
  #version = 0;
  /** Version of the last report of each reporter that is not on disk yet. */
  readonly #undurable = new Map<string, number>();
  /** Changes of where lines are: in the state, the outbox, a file. */
  #moves = 0;
  #next: Promise<void> | null = null;
  #last: Promise<void> = Promise.resolve();
  #gathering: NodeJS.Timeout | null = null;
  readonly #waiting: Waiting[] = [];
  #refusal: string | null = null;
  #lastWriteMs = 0;
  #timer: NodeJS.Timeout | null = null;

  /** Takes up where the agent before left, and counts what flowed meanwhile. Serving does not wait for a good disk. */
  static async open(options: MeterOptions): Promise<Meter> {
    const meter = new Meter(options);
    await meter.#load();
    return meter;
  }

  private constructor(options: MeterOptions) {
    this.#options = options;
    this.#files = options.files ?? nodeFiles;
    this.#journal = new Journal(options.folder, this.#files, options.onDamage);
    this.#path = `${options.folder}/state.json`;
  }

  async #load(): Promise<void> {
    const { counters, now, monotonic, folder, onDamage } = this.#options;
    const checkpoint = await this.#readCheckpoint();
    const atMs = now();
    const all = { highest: counters.most, count: counters.read(counters.most) };
    const { generation } = counters;
    this.#sampledAt = monotonic();
    if (checkpoint === null) {
      this.#state = begin({ atMs, generation, ...all });
    } else {
      this.#outbox = checkpoint.outbox;
      const counted = sample(checkpoint.state, { atMs, elapsedMs: null, generation, ...all });
      this.#state = disown(counted, { ...all, known: counters.known });
    }
    this.#version++;
    await this.#files.makeFolder(folder).catch((error: unknown) => this.#refused(error));
    await this.persist().catch(() => {});
    if (this.#outbox.length === 0) {
      await this.#journal.mend().catch((error: unknown) => onDamage(`${folder} cannot be mended: ${messageOf(error)}`));
    }
    await this.#removeOld();
  }

  async #readCheckpoint(): Promise<Checkpoint | null> {
    try {
      const text = await this.#files.read(this.#path);
      return text === null ? null : decodeCheckpoint(text);
    } catch (error) {
      const aside = `${this.#path}.damaged-${this.#options.now()}`;
      await this.#files.rename(this.#path, aside).catch(() => {});
      this.#options.onDamage(
        `${this.#path} is damaged (${messageOf(error)}), set aside as ${aside}: metering goes on from now, ` +
          'and what was not in a file yet is lost',
      );
      return null;
    }
  }

  /** Samples and writes now and then, and when an hour ends. */
  start(): void {
    const { now } = this.#options;
    const periodMs = Math.max(PERIOD_MS, this.#lastWriteMs / SHARE);
    const untilHourMs = hourOf(now()) + HOUR_MS - now();
    this.#timer = setTimeout(
      () => void this.#tick().finally(() => this.#timer && this.start()),
      Math.min(periodMs, untilHourMs + 2),
    );
  }

  async #tick(): Promise<void> {
    const before = this.#state.hourMs;
    try {
      this.sample();
    } catch (error) {
      this.#options.onDamage(`the kernel's counters cannot be read: ${messageOf(error)}`);
    }
    await this.persist().catch(() => {});
    if (this.#state.hourMs !== before) await this.#removeOld();
  }

  async #removeOld(): Promise<void> {
    const { now, keepDays, onDamage } = this.#options;
    await this.#journal.removeOld(now(), keepDays).catch((error: unknown) => {
      onDamage(`old files in ${this.#options.folder} cannot be removed: ${messageOf(error)}`);
    });
  }

  /** What flowed until now is counted for those who own it now. */
  sample(): void {
    const { counters, now, monotonic } = this.#options;
    let highest = 0;
    for (const id of this.#state.services.keys()) if (id > highest) highest = id;
    const elapsedMs = monotonic() - this.#sampledAt;
    this.#sampledAt += elapsedMs;
    const { generation } = counters;
    this.#change(sample(this.#state, { atMs: now(), elapsedMs, generation, highest, count: counters.read(highest) }));
  }

  /** A configuration is in force. */
  own(owners: Owners): void {
    this.sample();
    this.#change(own(this.#state, owners, this.#options.now()));
    void this.persist().catch(() => {});
  }

  /** Live sessions by service number, as just counted. */
  peak(sessions: ArrayLike<number>): void {
    this.#change(peak(this.#state, sessions));
  }

  /**
   * The counters of these services are about to be made zero by `reset`, and their numbers free. What they say is on
   * disk before, and that they are zero after: a crash in between finds them as they were, or gone back.
   * @throws UnavailableError when the disk refuses: nothing was reset, or `reset` may run again.
   */
  async renew(ids: readonly number[], reset: () => void): Promise<void> {
    this.sample();
    await this.persist();
    this.sample();
    reset();
    this.#change(renewed(this.#state, ids));
    await this.persist();
  }

  /** VIPs that are not ours; the rest is counted, once, and on disk when it resolves. @throws CapacityError, UnavailableError */
  report(report: Report): Promise<readonly Ip[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ report, resolve, reject });
      this.#gathering ??= setTimeout(() => void this.#takeReports(), this.#options.gatherMs ?? GATHER_MS);
    });
  }

  /** Those that came together share a checkpoint. */
  async #takeReports(): Promise<void> {
    this.#gathering = null;
    const waiting = this.#waiting.splice(0);
    const { now, reporters: most } = this.#options;
    const reports = waiting.map(({ report }) => report);
    const { state, answers } = takeAll(this.#state, reports, { atMs: now(), most });
    if (state !== this.#state) this.#change(state);
    answers.forEach((answer, i) => {
      if ('fresh' in answer && answer.fresh) this.#undurable.set(reports[i]!.reporter, this.#version);
    });
    const refusal = reports.some(({ reporter }) => this.#undurable.has(reporter))
      ? await this.persist().then(
          () => null,
          (error: unknown) => error,
        )
      : null;
    waiting.forEach(({ report, resolve, reject }, i) => {
      const answer = answers[i]!;
      if (!('fresh' in answer)) reject(answer);
      else if (this.#undurable.has(report.reporter)) reject(refusal);
      else resolve(answer.unknownVips);
    });
  }

  /** Flowed in the moments of an apply that a crash cut short, and so is in nobody's record. */
  get ownerless(): Count {
    return this.#state.ownerless;
  }

  reported(): readonly Reported[] {
    return [...this.#state.vips.values()].filter(({ goneAtMs }) => goneAtMs === null);
  }

  /**
   * Records of hours that overlap the time given, by hour, then by name, as many whole hours as hold `atLeast`
   * records; `nextMs`: the hour to go on with, null at the end.
   */
  async list(filter: {
    loadBalancer: string | null;
    fromMs: number;
    untilMs: number;
    atLeast: number;
  }): Promise<{ records: readonly MeteringRecord[]; nextMs: number | null }> {
    const from = hourOf(filter.fromMs);
    const wanted = ({ hourMs, loadBalancer }: MeteringRecord): boolean =>
      hourMs >= from &&
      hourMs < filter.untilMs &&
      (filter.loadBalancer === null || loadBalancer === filter.loadBalancer);
    const { memory, limits } = await this.#snapshot();
    const days = new Set([...(await this.#journal.days()), ...memory.map(({ hourMs }) => dayOf(hourMs))]);
    let found: readonly MeteringRecord[] = [];
    for (const day of [...days].sort()) {
      if (Date.parse(day) + 24 * HOUR_MS <= from || Date.parse(day) >= filter.untilMs) continue;
      const records = memory.filter(({ hourMs }) => dayOf(hourMs) === day).filter(wanted);
      for await (const some of this.#journal.read(day, limits.get(day) ?? null)) {
        for (const one of some) if (wanted(one)) records.push(one);
      }
      found = found.concat(merged(records));
      if (found.length > filter.atLeast) return cut(found, filter.atLeast);
    }
    return { records: found, nextMs: null };
  }

  /** Records that are in no file, and how far the files of their days do not hold them. */
  async #snapshot(): Promise<{ memory: readonly MeteringRecord[]; limits: ReadonlyMap<string, number> }> {
    this.sample();
    for (;;) {
      const moves = this.#moves;
      const limits = new Map<string, number>();
      for (const day of new Set([this.#state.hourMs, ...this.#state.finished.map(({ hourMs }) => hourMs)].map(dayOf))) {
        limits.set(day, (await this.#journal.size(day)) ?? 0);
      }
      if (moves !== this.#moves) continue;
      for (const { day, offset } of this.#outbox.toReversed()) limits.set(day, offset);
      const waiting = this.#outbox.flatMap(({ text }) => text.split('\n').flatMap((line) => parseLine(line) ?? []));
      return { memory: [...waiting, ...this.#state.finished, ...recordsOf(this.#state)], limits };
    }
  }

  /** What keeps it from its work, in words. */
  problems(): readonly string[] {
    return this.#refusal === null ? [] : [this.#refusal];
  }

  #change(state: MeteringState): void {
    if (state.hourMs !== this.#state.hourMs) this.#moves++;
    this.#state = state;
    this.#version++;
  }

  /** Resolves when what is known now is on disk. @throws UnavailableError: it is kept in memory, and tried again. */
  persist(): Promise<void> {
    if (this.#next === null) {
      this.#next = this.#last.then(() => {
        this.#next = null;
        return this.#write();
      });
      this.#last = this.#next.catch(() => {});
    }
    return this.#next;
  }

  async #write(): Promise<void> {
    const startedAt = this.#options.monotonic();
    try {
      // An hour may end while the places are looked up, and a checkpoint keeps no records without one.
      while (this.#state.finished.length > 0) await this.#place();
      const version = this.#version;
      await this.#files.replace(this.#path, encodeCheckpoint({ state: this.#state, outbox: this.#outbox }));
      for (const [reporter, at] of this.#undurable) if (at <= version) this.#undurable.delete(reporter);
      // From here on a crash writes these lines again, to the same places.
      for (let entry = this.#outbox[0]; entry !== undefined; entry = this.#outbox[0]) {
        await this.#journal.write(entry);
        this.#outbox = this.#outbox.slice(1);
        this.#moves++;
      }
      this.#refusal = null;
    } catch (error) {
      throw this.#refused(error);
    } finally {
      this.#lastWriteMs = this.#options.monotonic() - startedAt;
    }
  }

  async #place(): Promise<void> {
    const { finished } = this.#state;
    const entries = await this.#journal.place(finished, this.#outbox);
    this.#outbox = [...this.#outbox, ...entries];
    this.#state = { ...this.#state, finished: this.#state.finished.slice(finished.length) };
    this.#moves++;
  }

  #refused(error: unknown): UnavailableError {
    const text = `metering cannot be saved to ${this.#options.folder}: ${remedy(error)}; what was counted is kept in memory, and saved when that is mended`;
    const refusal = new UnavailableError(text, { cause: error });
    if (this.#refusal === null) this.#options.onRefusal(refusal);
    this.#refusal = text;
    return refusal;
  }

  /** Counts once more, and saves. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.sample();
    await this.persist().catch(() => {});
  }
}

function cut(
  records: readonly MeteringRecord[],
  atLeast: number,
): { records: readonly MeteringRecord[]; nextMs: number | null } {
  const { hourMs } = records[atLeast - 1]!;
  const next = records.findIndex((record) => record.hourMs > hourMs);
  if (next < 0) return { records, nextMs: hourMs + HOUR_MS };
  return { records: records.slice(0, next), nextMs: records[next]!.hourMs };
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'the disk quota is used up: raise it',
  EROFS: 'the file system is read-only: remount it, or set stateDirectory to another',
  EACCES: 'permission denied: spillwayd needs to own stateDirectory',
};

function remedy(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return code in remedies ? `${remedies[code]} (${messageOf(error)})` : messageOf(error);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
