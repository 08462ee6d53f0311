import type { Code, Input, messages } from '../../api/client.js';
import { begin, giveBack, type Ledger, type Reading, type Report, settle, untold, type VipUsage } from './ledger.js';

/** A load balancer's agent. */
export interface Target {
  readonly name: string;
  /** False: it is not there, and nothing was sent. */
  ready(): Promise<boolean>;
  /** @throws an error with `code` when it was answered with one, or the answer did not come. */
  report(request: Input<messages.ReportRequest>): Promise<{ readonly unknownVips: readonly string[] }>;
}

export interface ReporterOptions {
  readonly reporter: string;
  readonly hostname: string;
  /** In order of preference. */
  readonly targets: readonly Target[];
  readonly read: () => readonly Reading[];
  readonly store: { read(): Ledger; write(ledger: Ledger): void };
  readonly nowMs: () => number;
  readonly log: (line: string) => void;
}

export type Result = 'counted' | 'refused' | 'unanswered' | 'away';

/** Codes by which a target says that it has not counted the report, and will not. */
const refusals: ReadonlySet<string> = new Set<Code>([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
  'RESOURCE_EXHAUSTED',
  'UNIMPLEMENTED',
]);

/** Tells the agents what VIPs carried, each packet once. */
export class Reporter {
  #ledger: Ledger;
  /** What was last said of each target, so that it is said once. */
  readonly #said = new Map<string, string>();
  readonly #results = new Map<string, Map<Result, number>>();
  readonly #countedMs = new Map<string, number>();

  constructor(private readonly options: ReporterOptions) {
    this.#ledger = options.store.read();
    // Before the first report: a state that cannot be written must not be found out by a report that was sent.
    options.store.write(this.#ledger);
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  get results(): ReadonlyMap<string, ReadonlyMap<Result, number>> {
    return this.#results;
  }

  /** By target, when a report was last counted. */
  get countedMs(): ReadonlyMap<string, number> {
    return this.#countedMs;
  }

  /**
   * One turn: settles what may have arrived, then tells what is new to the first target that is there.
   * @returns true when nothing is left to tell or to settle
   */
  async turn(): Promise<boolean> {
    const { targets, read, nowMs } = this.options;
    await Promise.all(targets.map((target) => this.#settleWith(target)));
    const readings = read();
    for (const target of targets) {
      // Its reports go in order, or it takes an earlier one for one that it knows.
      if (this.#ledger.unsettled.some((report) => report.target === target.name)) continue;
      if (untold(this.#ledger, readings).length === 0) break;
      if (!(await this.#isReady(target))) continue;
      let result: Result = 'counted';
      while (result === 'counted') {
        const next = begin(this.#ledger, readings, { target: target.name, atMs: nowMs() });
        if (next === null) break;
        this.#keep(next.ledger);
        result = await this.#send(target, next.report, { again: false });
      }
    }
    return untold(this.#ledger, readings).length === 0 && this.#ledger.unsettled.length === 0;
  }

  async #settleWith(target: Target): Promise<void> {
    const [first] = this.#ledger.unsettled.filter((report) => report.target === target.name);
    if (first === undefined || !(await this.#isReady(target))) return;
    for (const report of this.#ledger.unsettled.filter((one) => one.target === target.name)) {
      if ((await this.#send(target, report, { again: true })) !== 'counted') return;
    }
  }

  async #isReady(target: Target): Promise<boolean> {
    const ready = await target.ready();
    if (!ready) this.#note(target, 'away', 'not there');
    return ready;
  }

  async #send(target: Target, report: Report, { again }: { readonly again: boolean }): Promise<Result> {
    const { epoch } = this.#ledger;
    const { reporter, hostname } = this.options;
    const { sequence, usage } = report;
    try {
      const { unknownVips } = await target.report({ reporter, hostname, epoch, sequence, usage: usage.map(toMessage) });
      this.#keep(settle(this.#ledger, report));
      const unknown =
        unknownVips.length === 0 ? '' : `; it has no LoadBalancer of ${[...unknownVips].sort().join(', ')}`;
      this.#countedMs.set(target.name, this.options.nowMs());
      return this.#note(target, 'counted', `counts what is reported${unknown}`);
    } catch (error) {
      const { code = 'UNKNOWN', message } = error as { code?: string; message: string };
      if (!refusals.has(code)) return this.#note(target, 'unanswered', `did not answer (${code}: ${message})`);
      // Of a report that was sent before, the refusal says nothing about the first time.
      if (!again) this.#keep(giveBack(this.#ledger, report));
      return this.#note(target, 'refused', `refused a report (${code}: ${message})`);
    }
  }

  #keep(ledger: Ledger): void {
    this.options.store.write(ledger);
    this.#ledger = ledger;
  }

  #note(target: Target, result: Result, words: string): Result {
    const results = this.#results.get(target.name) ?? new Map<Result, number>();
    results.set(result, (results.get(result) ?? 0) + 1);
    this.#results.set(target.name, results);
    if (this.#said.get(target.name) !== words) this.options.log(`${target.name}: ${words}`);
    this.#said.set(target.name, words);
    return result;
  }
}

function toMessage({ vip, packetsIn, bytesIn, packetsOut, bytesOut }: VipUsage): Input<messages.VipUsage> {
  return { vip, packetsIn, bytesIn, packetsOut, bytesOut };
}
