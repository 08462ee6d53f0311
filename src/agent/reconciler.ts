import type { Status } from '../api/port.js';
import type { Logger } from '../base/log.js';
import type { TableOp } from '../compile/ops.js';
import type { ReconcileRun } from '../metrics/agent_series.js';
import type { NextHopTracker } from '../netlink/tracker.js';
import type { Controller } from './controller.js';
import { type DataPlaneNode, siteOf } from './dataplane-node.js';

/** Maglev tables whose contents are compared in one run of the timer: the whole of them takes many runs. */
const TABLES_PER_RUN = 8;

export interface ReconcilerOptions {
  readonly controller: Controller;
  readonly node: DataPlaneNode;
  readonly tracker: NextHopTracker;
  readonly log: Logger;
  readonly intervalMs: number;
  readonly attachProblems: readonly string[];
  readonly onRun: (run: ReconcileRun) => void;
  readonly onChange: () => void;
}

/** Compares the kernel with what should be, on a timer and on demand, and repairs and counts what differs. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Immediate | null = null;
  #status = { lastAtMs: null as number | null, runs: 0, repairs: 0, failures: 0, lastError: '' };
  #problems: readonly string[];
  #nextPool = 0;
  #closed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#problems = options.attachProblems;
    this.#timer = setInterval(() => void this.run({ everything: false }), options.intervalMs);
  }

  status(): Status['reconciliation'] {
    return this.#status;
  }

  problems(): readonly string[] {
    return this.#status.lastError ? [...this.#problems, `reconciliation: ${this.#status.lastError}`] : this.#problems;
  }

  /** An interface came, went or changed. */
  soon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = null;
      void this.run({ everything: false });
    });
  }

  async run({ everything }: { everything: boolean }): Promise<{ repairs: number; ops: readonly TableOp[] }> {
    if (this.#closed) return { repairs: 0, ops: [] };
    const startedMs = performance.now();
    try {
      const suspects = { pools: await this.#suspectPools(everything), access: await this.#isAccessSuspect() };
      const result = await this.#options.controller.exclusively(() => this.#reconcile(suspects));
      this.#finish(result.repairs === 0 ? 'clean' : 'repaired', startedMs, result.repairs, '');
      return result;
    } catch (error) {
      this.#finish('failed', startedMs, 0, (error as Error).message);
      this.#options.log.error({ err: error }, 'reconciliation failed');
      if (everything) throw error;
      return { repairs: 0, ops: [] };
    }
  }

  async #reconcile(suspects: {
    pools: readonly number[];
    access: boolean;
  }): Promise<{ repairs: number; ops: readonly TableOp[] }> {
    const { node, tracker, controller, log } = this.#options;
    if (this.#closed) return { repairs: 0, ops: [] };
    const attached = node.attachPorts(siteOf(tracker));
    this.#problems = attached.problems;
    const ops = await controller.reconcile({
      pools: new Set(suspects.pools.filter((pool) => this.#isSuspect(pool))),
      access: suspects.access,
    });
    if (ops.length > 0) log.warn({ repairs: ops.length }, 'the kernel differed from what should be: repaired');
    if (attached.mended > 0) log.warn({ interfaces: attached.mended }, 'attached again');
    return { repairs: ops.length + attached.mended, ops };
  }

  /**
   * Pools whose Maglev table seems not to hold what its members give. A table takes milliseconds, so this does not keep
   * changes waiting, and a change may be what it sees: whoever repairs looks again, alone with the tables.
   */
  async #suspectPools(everything: boolean): Promise<readonly number[]> {
    const pools = [...this.#options.controller.applied.pools.keys()];
    const suspects: number[] = [];
    const count = everything ? pools.length : Math.min(TABLES_PER_RUN, pools.length);
    for (let i = 0; i < count && !this.#closed; i++) {
      const pool = pools[(this.#nextPool + i) % pools.length]!;
      if (this.#isSuspect(pool)) suspects.push(pool);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#nextPool = pools.length > 0 ? (this.#nextPool + count) % pools.length : 0;
    return suspects;
  }

  /** Likewise: a list that changes under the reader looks like one that differs. */
  async #isAccessSuspect(): Promise<boolean> {
    const { controller, node } = this.#options;
    const held = await node.control.access.readInTurns();
    const { access } = controller.applied;
    const wanted = [...access].filter(([, entries]) => entries.count > 0);
    return held.size !== wanted.length || wanted.some(([list, entries]) => !held.get(list)?.same(entries));
  }

  #isSuspect(pool: number): boolean {
    const { controller, node } = this.#options;
    const row = controller.applied.pools.get(pool);
    return row?.placed ? !node.control.tableMatches(row.placed.table, row) : false;
  }

  #finish(result: ReconcileRun['result'], startedMs: number, repairs: number, lastError: string): void {
    const { runs, repairs: before, failures } = this.#status;
    this.#status = {
      lastAtMs: Date.now(),
      runs: runs + 1,
      repairs: before + repairs,
      failures: failures + (result === 'failed' ? 1 : 0),
      lastError,
    };
    this.#options.onRun({ result, durationMs: performance.now() - startedMs });
    if (repairs > 0 || result === 'failed') this.#options.onChange();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    if (this.#soon) clearImmediate(this.#soon);
  }
}
