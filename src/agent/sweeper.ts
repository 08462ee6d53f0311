import { Mutex } from '../base/mutex.js';
import type { IdLedger } from '../compile/ids.js';
import type { Tables } from '../compile/tables.js';
import type { SweepResult } from '../dataplane/addon.js';
import type { Counters } from '../dataplane/counters.js';
import type { SessionTable } from '../dataplane/session-table.js';
import type { ControlTables } from '../dataplane/tables.js';
import type { Controller } from './controller.js';

const ABANDONED_MS = 1000;

/** Sessions as of the last sweep. */
export interface SessionCounts {
  readonly atMs: number;
  readonly byState: Uint32Array;
  readonly byService: Uint32Array;
  /** Without those that are closing. */
  readonly openByService: Uint32Array;
  readonly byBackend: Uint32Array;
}

export interface SweeperOptions {
  readonly table: SessionTable;
  readonly controller: Controller;
  readonly control: ControlTables;
  readonly counters: Counters;
  readonly ids: IdLedger;
  readonly now: () => number;
  /** Makes the counters of these listeners zero by calling `reset`, once what they say is kept. */
  readonly renewServices: (ids: readonly number[], reset: () => void) => Promise<void>;
  readonly onCounts: (counts: SessionCounts) => void;
  /** Numbers could not be freed: the next sweep tries again. */
  readonly onError: (error: unknown) => void;
}

/**
 * Walks the session table now and then: counts, clears what has expired or whose listener is gone or stopped, and
 * frees the numbers of removed backends and listeners once no session names them.
 */
export class Sweeper {
  counts: SessionCounts | null = null;
  readonly #options: SweeperOptions;
  readonly #mutex = new Mutex();
  /** Slots seen unfinished, and when first. */
  #unfinished: ReadonlyMap<number, number> = new Map();
  #soon: Promise<SweepResult> | null = null;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** One at a time: a call during a sweep waits for it, then makes another. */
  sweep(purge: { backends?: Uint8Array; services?: Uint8Array } = {}): Promise<SweepResult> {
    return this.#mutex.run(() => this.#sweep(purge));
  }

  /** As sweep; calls while one waits for its turn share it, for configurations may come faster than sweeps end. */
  soon(): Promise<SweepResult> {
    this.#soon ??= this.#mutex.run(() => {
      this.#soon = null;
      return this.#sweep({});
    });
    return this.#soon;
  }

  async #sweep(purge: { backends?: Uint8Array; services?: Uint8Array }): Promise<SweepResult> {
    const { table, controller } = this.#options;
    const retiredBefore = [...controller.retiring.backends];
    const clearedBefore = [...controller.retiring.services];
    const settleLoads = this.#options.control.loads.count(this.#byLoad());
    const settleLimits = this.#options.control.limitRows.count(controller.compiled?.limits.values() ?? []);
    const result = await table.sweep({
      timeouts: this.#timeouts(),
      purgeBackends: purge.backends ?? null,
      purgeServices: purge.services ?? null,
    });
    settleLoads(result.openByBackend);
    settleLimits(result.openByService);
    this.counts = { atMs: this.#options.now(), ...result };
    this.#options.onCounts(this.counts);
    this.#clearUnfinished(result);
    // Not awaited: a long apply must not hold up the counts.
    controller.exclusively(() => this.#release(result, retiredBefore, clearedBefore)).catch(this.#options.onError);
    return result;
  }

  /** Backends whose listeners send to the least loaded. */
  #byLoad(): number[] {
    const pools = this.#options.controller.compiled?.pools ?? [];
    return pools.flatMap(({ row, backends }) => (row.order === 'members' ? backends.map(({ id }) => id) : []));
  }

  /** Ticks by [service * 4 + (state & 3)]; 0 clears. Before the first configuration nothing is known: nothing expires. */
  #timeouts(): Uint16Array {
    const timeouts = new Uint16Array(65536 * 4);
    const { compiled, incoming, applied } = this.#options.controller;
    const services = compiled ? compiled.tables.services : applied.services;
    for (const [id, { timeoutTicks }] of [...services, ...(incoming?.tables.services ?? [])]) {
      if (compiled?.stoppedServices.has(id)) continue;
      timeouts.set(timeoutTicks, id * 4);
    }
    return timeouts;
  }

  /** At start: numbers of listeners that are gone, but that sessions still name, wait until the sweep has cleared these. */
  async reserveNamed(rows: Tables['services']): Promise<void> {
    const { table, ids, controller } = this.#options;
    const found = await table.sweep({ timeouts: new Uint16Array(65536 * 4).fill(0xffff) });
    found.byService.forEach((sessions, id) => {
      if (sessions + found.sourcesByService[id]! === 0 || rows.has(id)) return;
      ids.services.reserve(id);
      controller.retiring.services.add(id);
    });
  }

  /** Claimed and not filled for so long: left by a program that was cut short. */
  #clearUnfinished({ unfinished }: SweepResult): void {
    const { table, now } = this.#options;
    const first = new Map(Array.from(unfinished, (slot) => [slot, this.#unfinished.get(slot) ?? now()] as const));
    for (const [slot, sinceMs] of first) {
      if (now() - sinceMs >= ABANDONED_MS && table.clearUnfinished(slot)) first.delete(slot);
    }
    this.#unfinished = first;
  }

  async #release(result: SweepResult, retired: readonly number[], cleared: readonly number[]): Promise<void> {
    const { ids, control, controller, counters, renewServices } = this.#options;
    const { retiring } = controller;
    const { byBackend, byService, sourcesByBackend, sourcesByService } = result;
    const named = (counts: readonly Uint32Array[], id: number): boolean => counts.some((count) => count[id]! > 0);
    const freeBackends = new Set(
      retired.filter((id) => !named([byBackend, sourcesByBackend], id) && retiring.backends.has(id)),
    );
    // Given out anew, the number would draw the handshakes of another group's clients.
    if (freeBackends.size > 0) for (const id of control.namedInHandovers(freeBackends)) freeBackends.delete(id);
    for (const id of freeBackends) {
      control.freeBackend(id);
      counters.resetBackend(id);
      retiring.backends.delete(id);
    }
    if (freeBackends.size > 0) ids.backends.retain((_, id) => !freeBackends.has(id));
    const freeServices = cleared.filter((id) => !named([byService, sourcesByService], id) && retiring.services.has(id));
    if (freeServices.length > 0) {
      await renewServices(freeServices, () => {
        for (const id of freeServices) counters.resetService(id);
      });
      for (const id of freeServices) retiring.services.delete(id);
      const free = new Set(freeServices);
      ids.services.retain((_, id) => !free.has(id));
    }
    const { pools, egresses, limits, quicRoutings } = controller.applied;
    if (ids.pools.size > pools.size) ids.pools.retain((_, id) => pools.has(id));
    if (ids.egresses.size > egresses.size) ids.egresses.retain((_, id) => egresses.has(id));
    if (ids.limits.size > limits.size) ids.limits.retain((_, id) => limits.has(id));
    if (ids.quicRoutings.size > quicRoutings.size) ids.quicRoutings.retain((_, id) => quicRoutings.has(id));
  }
}
