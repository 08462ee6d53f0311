import { isDeepStrictEqual } from 'node:util';
import { type Backend, BackendFlags } from '../abi/abi.generated.js';
import { allocate } from '../addresses/allocate.js';
import type { Applied, ConfigPort, Versioned } from '../api/port.js';
import { CapacityError, ConflictError, UnavailableError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import { collectGarbageSoon } from '../base/memory.js';
import { Mutex } from '../base/mutex.js';
import { compile } from '../compile/compile.js';
import type { Compiled } from '../compile/compiled.js';
import type { IdLedger } from '../compile/ids.js';
import { describeOp, type TableOp } from '../compile/ops.js';
import { plan } from '../compile/plan.js';
import { emptyTables, type Tables } from '../compile/tables.js';
import { checkAccessListEntries } from '../config/capacity.js';
import type { Desired } from '../config/desired.js';
import type { Saved, Store } from '../config/store.js';
import { releaseFreeMemory } from '../dataplane/addon.js';
import type { ControlTables } from '../dataplane/tables.js';
import { ObservedState, settle } from './state.js';

export interface ControllerOptions {
  readonly control: ControlTables;
  readonly ids: IdLedger;
  readonly store: Store;
  readonly tickMs: number;
  /** Of this node; empty: none. */
  readonly zone: string;
  /** Health is agreed on with other nodes. */
  readonly hearsOthers: boolean;
  /** At most, of all access lists together. */
  readonly accessListEntries: number;
  readonly log: Logger;
  readonly now: () => number;
  /** Looks up the next hops of these backends; resolves when routes are known, at the latest after a deadline. */
  readonly prepare: (desired: Desired) => Promise<void>;
  /** After every change of the tables: new checks, new next hops. */
  readonly onCompiled: (compiled: Compiled, change: { readonly configuration: boolean }) => void;
  readonly onApply?: (run: { readonly ok: boolean; readonly durationMs: number }) => void;
}

type Kept = Versioned & Saved;

const MAX_STEPS = 1000;
/** A change of so many steps leaves tens of megabytes behind. */
const LARGE_CHANGE = 5000;
/** Work on the tables gives way to probes and calls this often. */
const SLICE_MS = 15;
export const noConfiguration: Desired = { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] };

/**
 * Owns the desired state and what follows from it. Everything that writes to the tables goes through here, one at a
 * time: configuration, health, next hops, repairs.
 */
export class Controller implements ConfigPort {
  readonly observed = new ObservedState();
  readonly #options: ControllerOptions;
  /** One configuration at a time; taken before `#mutex`, never while holding it. */
  readonly #applying = new Mutex();
  /** One at a time on the tables. */
  readonly #mutex = new Mutex();
  readonly #watchers = new Set<(now: Versioned) => void>();
  #versioned: Versioned = { desired: noConfiguration, version: 0, appliedAtMs: null };
  /** Addresses of pools that were given up: see addresses/. */
  #released: readonly Ip[] = [];
  #compiled: Compiled | null = null;
  #incoming: Compiled | null = null;
  #applied: Tables = emptyTables;
  /** Traffic flows by tables whose configuration is lost: there is no state to go back to. */
  #orphaned = false;
  #recomputeWanted = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  get compiled(): Compiled | null {
    return this.#compiled;
  }

  /** Being written to the kernel: packets may meet it already. */
  get incoming(): Compiled | null {
    return this.#incoming;
  }

  /** As the kernel should hold them now. */
  get applied(): Tables {
    return this.#applied;
  }

  current(): Versioned {
    return this.#versioned;
  }

  watch(onChange: (now: Versioned) => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** One after the other with everything else that works on the tables. */
  exclusively<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#mutex.run(task);
  }

  /** At start: what the kernel holds already, and the configuration kept on disk (null: leave the tables alone). */
  async start(have: Tables, kept: Saved | null): Promise<void> {
    this.#believe(have, []);
    this.#orphaned = !kept && have.services.size > 0;
    if (!kept) return;
    const saved = this.#addressed(kept);
    this.#versioned = saved;
    this.#released = saved.released;
    await this.#options.prepare(saved.desired);
    this.#rememberHealth(saved.desired, have);
    await this.#mutex.run(() => this.#bring(saved.desired));
    this.#options.onCompiled(this.#compiled!, { configuration: true });
  }

  /**
   * Without the file of health records, the rows in the kernel say what checks last found. They alone say who had traffic
   * all the same, because other nodes saw it healthy: until these are heard again, it goes on.
   */
  #rememberHealth(desired: Desired, have: Tables): void {
    const { BACKEND_UP, BACKEND_CHECKED, BACKEND_HEALTHY } = BackendFlags;
    const isFile = this.observed.now.health.size > 0;
    const isOutvoted = ({ flags }: Backend): boolean =>
      this.#options.hearsOthers &&
      (flags & (BACKEND_UP | BACKEND_CHECKED | BACKEND_HEALTHY)) === (BACKEND_UP | BACKEND_CHECKED);
    if (isFile && ![...have.backends.values()].some(isOutvoted)) return;
    for (const { checkKey, id, row } of this.#compile(desired, this.observed.takeDirty()).backends.values()) {
      const held = have.backends.get(id);
      if (held?.identity !== row.identity || !(held.flags & BACKEND_CHECKED)) continue;
      const found = held.flags & BACKEND_HEALTHY ? 'healthy' : 'unhealthy';
      const own = isFile ? this.observed.ownHealthOf(checkKey) : found;
      this.observed.setHealth(checkKey, own, own === 'unhealthy' && isOutvoted(held) ? 'healthy' : own);
    }
  }

  /** A state of an agent that gave no addresses may want for some. */
  #addressed(saved: Saved): Saved {
    try {
      return { ...saved, ...allocate(saved.desired, saved) };
    } catch (error) {
      this.#options.log.error({ err: error }, 'not every LoadBalancer of the saved state has its addresses');
      return saved;
    }
  }

  apply(desired: Desired, options: { expectedVersion: number | null; validateOnly: boolean }): Promise<Applied> {
    return this.#applying.run(() => this.#apply(desired, options));
  }

  async #apply(
    wanted: Desired,
    { expectedVersion, validateOnly }: { expectedVersion: number | null; validateOnly: boolean },
  ): Promise<Applied> {
    const { version, desired: before } = this.#versioned;
    if (expectedVersion !== null && expectedVersion !== version) throw new ConflictError(expectedVersion, version);
    const { desired, released } = allocate(wanted, { desired: before, released: this.#released });
    if (version > 0 && isDeepStrictEqual(desired, before)) return { version, changed: false, steps: [] };
    const startedMs = performance.now();
    try {
      if (validateOnly) {
        const ops = await this.#mutex.run(async () => this.#preview(desired));
        return { version, changed: true, steps: ops.slice(0, MAX_STEPS).map(describeOp) };
      }
      const next: Kept = { desired, version: version + 1, appliedAtMs: this.#options.now(), released };
      // Routes may take their time: changes of health go on meanwhile.
      await this.#options.prepare(desired);
      const { ops, durationMs } = await this.#mutex.run(async () => {
        // A disk that refuses must not cost the traffic that flows.
        if (this.#orphaned) await this.#options.store.save(next);
        const done = await this.#bring(desired);
        const inMapsMs = performance.now();
        await this.#keep(next, before);
        return { ops: done, durationMs: inMapsMs - startedMs };
      });
      this.#options.onApply?.({ ok: true, durationMs });
      if (ops.length > LARGE_CHANGE) collectGarbageSoon(releaseFreeMemory);
      return { version: version + 1, changed: true, steps: ops.slice(0, MAX_STEPS).map(describeOp) };
    } catch (error) {
      if (!validateOnly) {
        this.#options.onApply?.({ ok: false, durationMs: performance.now() - startedMs });
        await this.#options.prepare(before);
        await this.#mutex.run(() => this.#goBack(before));
      }
      throw error;
    }
  }

  /** After a step that the kernel refused; of a state that was gone back to already there is nothing to do. */
  async #goBack(before: Desired): Promise<void> {
    if (this.#orphaned) return;
    try {
      await this.#bring(before);
      this.#releaseUnused();
    } catch (error) {
      this.#options.log.error({ err: error }, 'the state before could not be restored; reconciliation tries again');
    }
  }

  /** What is not on disk is not in force: a disk that refuses takes the tables back to the state before. */
  async #keep(next: Kept, before: Desired): Promise<void> {
    try {
      if (!this.#orphaned) await this.#options.store.save(next);
    } catch (error) {
      await this.#bring(before);
      throw error;
    }
    this.#orphaned = false;
    this.#versioned = next;
    this.#released = next.released;
    this.#options.onCompiled(this.#compiled!, { configuration: true });
    for (const watcher of this.#watchers) watcher(next);
  }

  #preview(desired: Desired): readonly TableOp[] {
    const dirty = this.observed.takeDirty();
    this.observed.giveBack(dirty);
    try {
      return this.#plan(this.#compile(desired, dirty));
    } finally {
      this.#releaseUnused();
    }
  }

  #compile(desired: Desired, dirty: ReturnType<ObservedState['takeDirty']>): Compiled {
    const { ids, tickMs, zone, accessListEntries } = this.#options;
    checkAccessListEntries(desired, accessListEntries);
    const previous = this.#compiled ? { previous: { compiled: this.#compiled, dirty } } : {};
    return compile(desired, this.observed.now, ids, { tickMs, zone, inForce: this.#applied, ...previous });
  }

  #plan(compiled: Compiled): readonly TableOp[] {
    const { tableCount, tick, freedTables: freed, vipCapacity } = this.#options.control;
    // New addresses come before old ones go: both have to fit.
    const most = this.#applied.vips.size + compiled.tables.vips.size;
    if (most > vipCapacity) {
      const all = new Set([...this.#applied.vips.keys(), ...compiled.tables.vips.keys()]).size;
      if (all > vipCapacity) throw new CapacityError('limits.vips', vipCapacity, all);
    }
    return plan(this.#applied, compiled.tables, { tableCount, tick, freed });
  }

  /** Compiles, plans and applies; on failure the tables are read again, so that nothing is believed that is not so. */
  async #bring(desired: Desired): Promise<readonly TableOp[]> {
    const dirty = this.observed.takeDirty();
    let compiled: Compiled;
    let ops: readonly TableOp[];
    try {
      compiled = this.#compile(desired, dirty);
      ops = this.#plan(compiled);
    } catch (error) {
      this.observed.giveBack(dirty);
      this.#releaseUnused();
      throw error;
    }
    this.#incoming = compiled;
    try {
      await this.#options.control.apply(ops, slicer());
    } catch (error) {
      this.observed.giveBack(dirty);
      await this.#believeKernel(ops);
      throw new UnavailableError(`the kernel refused a step: ${(error as Error).message}`, { cause: error });
    } finally {
      this.#incoming = null;
    }
    this.#applied = settle(this.#applied, compiled, ops, this.#options.control);
    this.#compiled = compiled;
    this.#noteRetiring(ops);
    this.#awaitNextChange(compiled);
    return ops;
  }

  /** What the kernel says, at start and after a plan that broke off: numbers that it took out of use included. */
  #believe(kernel: Tables, ops: readonly TableOp[]): void {
    this.#applied = kernel;
    for (const [id, { flags }] of kernel.backends) {
      if (flags & BackendFlags.BACKEND_RETIRED) this.retiring.backends.add(id);
    }
    for (const op of ops) {
      if (op.op === 'clear-service' && !kernel.services.has(op.id)) this.retiring.services.add(op.id);
    }
  }

  async #believeKernel(ops: readonly TableOp[]): Promise<void> {
    const { control } = this.#options;
    this.#believe(control.read({ access: await control.access.readInTurns() }), ops);
  }

  #noteRetiring(ops: readonly TableOp[]): void {
    for (const op of ops) {
      if (op.op === 'retire-backend') this.retiring.backends.add(op.id);
      else if (op.op === 'write-backend') this.retiring.backends.delete(op.id);
      else if (op.op === 'clear-service') this.retiring.services.add(op.id);
      else if (op.op === 'write-service') this.retiring.services.delete(op.id);
    }
  }

  /** Backends that start slowly: their weights change by time alone. */
  #awaitNextChange({ pools }: Compiled): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const dueMs = pools.reduce((least, { nextChangeMs }) => Math.min(least, nextChangeMs ?? least), Infinity);
    if (dueMs === Infinity || this.#closed) return;
    this.#timer = setTimeout(() => this.recompute(), Math.max(0, Math.ceil(dueMs - this.observed.now.nowMs!)));
  }

  /** Health or next hops changed: soon, once for all changes that come together. */
  recompute(): void {
    if (this.#recomputeWanted || this.#closed) return;
    this.#recomputeWanted = true;
    setImmediate(() => void this.#mutex.run(() => this.#recompute()));
  }

  async #recompute(): Promise<void> {
    this.#recomputeWanted = false;
    if (this.#closed || !this.#compiled) return;
    try {
      await this.#bring(this.#versioned.desired);
      this.#options.onCompiled(this.#compiled, { configuration: false });
    } catch (error) {
      this.#options.log.error({ err: error }, 'observed changes could not be applied; reconciliation tries again');
    }
  }

  /**
   * Compares the kernel with what should be, and repairs. `suspect`: pools whose table was found to differ, and whether
   * an access list was. Returns the steps taken.
   */
  async reconcile(suspect: { pools: ReadonlySet<number>; access: boolean }): Promise<readonly TableOp[]> {
    const compiled = this.#compiled;
    if (!compiled) return [];
    // What a recompute could not apply waits there.
    if (this.observed.hasDirty) this.recompute();
    const { control } = this.#options;
    const access = suspect.access ? await control.access.readInTurns() : this.#applied.access;
    const kernel = control.read({ access });
    const pools = new Map(kernel.pools);
    for (const id of suspect.pools) {
      const row = pools.get(id);
      if (row) pools.set(id, { ...row, recipe: 0n });
    }
    const have: Tables = { ...kernel, pools };
    const { tableCount, tick, freedTables: freed } = control;
    const ops: TableOp[] = [...plan(have, compiled.tables, { tableCount, tick, freed })];
    const addresses = [...new Set([...compiled.tables.vips.values()].map(({ address }) => address))];
    if (!ops.some(({ op }) => op === 'write-filter') && !control.filterMatches(addresses)) {
      ops.unshift({ op: 'write-filter', addresses });
    }
    try {
      await control.apply(ops, slicer());
    } catch (error) {
      await this.#believeKernel(ops);
      throw error;
    }
    this.#applied = settle(have, compiled, ops, control);
    this.#noteRetiring(ops);
    return ops;
  }

  /** Numbers that were given out for a state that did not come into force. */
  #releaseUnused(): void {
    const { ids } = this.#options;
    const { services, pools, backends, egresses, limits, quicRoutings } = this.#applied;
    ids.services.retain((_, id) => services.has(id) || this.retiring.services.has(id));
    ids.pools.retain((_, id) => pools.has(id));
    ids.egresses.retain((_, id) => egresses.has(id));
    ids.limits.retain((_, id) => limits.has(id));
    ids.quicRoutings.retain((_, id) => quicRoutings.has(id));
    ids.backends.retain((_, id) => backends.has(id) || this.retiring.backends.has(id));
  }

  /** Numbers out of use that sessions may still name: the sweeper frees them. */
  readonly retiring = { services: new Set<number>(), backends: new Set<number>() };

  close(): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    return this.#applying.run(() => this.#mutex.run(async () => {}));
  }
}

/** Lets the event loop have a turn when a long row of steps has held it for a slice. */
function slicer(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  };
}
