/**
 * dist/bpf/lb.bpf.o in the kernel, attached to nothing and pinned nowhere: packets go through it by BPF_PROG_TEST_RUN.
 * Its control maps are filled as the agent fills them, from a desired state.
 */
import { fileURLToPath } from 'node:url';
import * as abi from '../../src/abi/abi.generated.js';
import { parseMac } from '../../src/base/ip.js';
import { compile } from '../../src/compile/compile.js';
import type { Compiled, Observed } from '../../src/compile/compiled.js';
import type { FlowKey } from '../../src/compile/fingerprint.js';
import { IdLedger } from '../../src/compile/ids.js';
import type { TableOp } from '../../src/compile/ops.js';
import { plan } from '../../src/compile/plan.js';
import type { Desired } from '../../src/config/desired.js';
import { type BpfMap, BpfObject, type BpfProgram, possibleCpus } from '../../src/dataplane/addon.js';
import { openTickClock, type TickClock } from '../../src/dataplane/clock.js';
import { Counters } from '../../src/dataplane/counters.js';
import { kernelName, type MapName, mapNames } from '../../src/dataplane/layout.js';
import { SessionTable } from '../../src/dataplane/session-table.js';
import { deriveKey, freshSettings, SettingsMap } from '../../src/dataplane/settings.js';
import { ControlTables } from '../../src/dataplane/tables.js';
import { seen } from './desired.js';
import { SessionLog } from './session_log.js';

export const lbMac = '02:00:00:00:00:11';
export const verdictNames = ['ABORTED', 'DROP', 'PASS', 'TX', 'REDIRECT'] as const;

const bpfDirectory = new URL('../../bpf/', import.meta.url);
export const lbObjectFile = fileURLToPath(new URL('lb.bpf.o', bpfDirectory));
export const clockObjectFile = fileURLToPath(new URL('clock.bpf.o', bpfDirectory));

/** With this shift every jiffy of some thousand years is tick 0. */
const FROZEN_SHIFT = 40;
const FROZEN_TICK_MS = 256;

export interface DataPathOptions {
  /** Of the session table, 4 slots each. */
  readonly buckets?: number;
  readonly services?: number;
  readonly pools?: number;
  readonly tables?: number;
  readonly backends?: number;
  /** Buckets of the table of first fragments, 4 slots each. */
  readonly fragments?: number;
  /** In each tick. */
  readonly allowances?: { readonly echoes?: number; readonly errors?: number; readonly fragments?: number };
  /** Of all access lists together. */
  readonly accessEntries?: number;
  readonly sourceCells?: number;
  readonly frags?: boolean;
  /** The copy of the program that captures. */
  readonly capture?: boolean;
  /** 'frozen' (default): time passes by DataPath.pass alone. */
  readonly clock?: 'frozen' | 'real';
  readonly key?: FlowKey;
}

export interface Result {
  readonly verdict: (typeof verdictNames)[number];
  readonly frame: Buffer;
}

export class DataPath {
  readonly program: BpfProgram;
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly clock: Pick<TickClock, 'now' | 'now32' | 'limitTime' | 'tickMs' | 'hz' | 'shift' | 'close'>;
  readonly control: ControlTables;
  readonly settings: SettingsMap;
  readonly sessions: SessionTable;
  readonly counters: Counters;
  readonly ids: IdLedger;
  readonly key: FlowKey;
  compiled: Compiled | null = null;
  /** Not pinned: of handshakes under way. */
  readonly receipts: ArrayBuffer;
  readonly #logs: readonly SessionLog[];
  readonly #object: BpfObject;
  readonly #allowances: BpfMap;

  constructor(options: DataPathOptions = {}) {
    const sizes = sizesOf(options);
    const rodata = new Uint8Array(abi.lbConfigSize);
    const config = {
      buckets: sizes.sessions,
      frags: options.frags ? 1 : 0,
      capture: options.capture ? 1 : 0,
      fragmentBuckets: sizes.fragments,
      sourceCells: sizes.sources,
    };
    abi.writeLbConfig(new DataView(rodata.buffer), 0, config);
    this.#object = BpfObject.load(lbObjectFile, {
      rodata: { config: rodata },
      maxEntries: {
        ...Object.fromEntries(mapNames.map((name) => [kernelName(name), sizes[name]])),
        captures_v2: 1 << 20,
      },
      frags: options.frags ?? false,
    });
    this.program = this.#object.program('lb');
    const map = (name: MapName): [MapName, BpfMap] => [name, this.#object.map(kernelName(name))];
    this.maps = Object.fromEntries(mapNames.map(map)) as Record<MapName, BpfMap>;
    const receipts = this.#object.map('receipts_v2');
    this.receipts = receipts.mmap();
    receipts.close();
    const logs = this.maps.session_log.mmap();
    this.#logs = Array.from({ length: sizes.session_log }, (_, cpu) => new SessionLog(logs, cpu));
    this.clock = options.clock === 'real' ? openTickClock(clockObjectFile) : frozenClock;
    this.key = options.key ?? deriveKey(Buffer.from('a key for tests'));
    this.settings = new SettingsMap(this.maps.settings);
    this.settings.write(freshSettings(this.key, this.clock, 1));
    this.settings.setMacs([parseMac(lbMac)!]);
    const { echoes = 256, errors = 256, fragments = 256 } = options.allowances ?? {};
    const perTick = { echoesPerTick: echoes, errorsPerTick: errors, fragmentsPerTick: fragments };
    this.settings.write({ ...this.settings.read(), ...perTick });
    this.#allowances = this.#object.map('allowances_v2');
    this.control = new ControlTables(this.maps, this.clock);
    this.sessions = new SessionTable(this.maps.sessions, this.maps.details, this.clock);
    this.counters = new Counters(this.maps);
    this.ids = new IdLedger({ services: sizes.services - 1, pools: sizes.pools - 1, backends: sizes.backends - 1 });
  }

  /** A map that is pinned nowhere, by its name without version. */
  ownMap(name: string): BpfMap {
    return this.#object.map(`${name}_v2`);
  }

  close(): void {
    this.program.close();
    for (const map of Object.values(this.maps)) map.close();
    this.#allowances.close();
    this.#object.close();
    this.clock.close();
  }

  /** From what the maps hold to what `desired` asks for; the steps taken. */
  async apply(desired: Desired, observed: Observed = seen(desired)): Promise<readonly TableOp[]> {
    const have = this.control.read();
    this.compiled = compile(desired, observed, this.ids, { tickMs: this.clock.tickMs, inForce: have });
    const ops = plan(have, this.compiled.tables, {
      tableCount: this.control.tableCount,
      tick: this.control.tick,
      freed: this.control.freedTables,
    });
    await this.control.apply(ops);
    return ops;
  }

  run(frame: Uint8Array): Result {
    const { retval, data } = this.program.testRun({ data: frame });
    return { verdict: verdictNames[retval]!, frame: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
  }

  /** Number of a backend as the first pool that has it knows it. */
  backendId(name: string, pool?: string): number {
    for (const { id, group, backend } of this.compiled!.backends.values()) {
      if (backend.name === name && (pool === undefined || group === pool)) return id;
    }
    throw new Error(`no backend ${name}`);
  }

  serviceId(vip: string, port: number, protocol = 6): number {
    return this.compiled!.tables.vips.get(`${protocol}/${vip}/${port}`)!.service;
  }

  /** Slots that other nodes were to be told of since the last call, in order; of CPU after CPU. */
  told(): number[] {
    return this.#logs.flatMap((log) => log.drain());
  }

  /** Reasons counted so far, by their word; those never seen are left out. */
  reasons(): Record<string, number> {
    return named(abi.Reason, this.counters.global().reasons);
  }

  tableEvents(): Record<string, number> {
    return named(abi.TableEvent, this.counters.global().table);
  }

  /** Lets time pass for a table whose clock is frozen: all that is remembered becomes older. */
  pass(ticks: number): void {
    for (const table of [this.maps.sessions, this.maps.fragments]) {
      age(new DataView(table.mmap()), abi.sessionSlotSize, (view, at) => {
        const high = view.getUint32(at + 12, true);
        if (high !== 0) view.setUint32(at + 12, (high & 0xff00_0000) | ((high - ticks) & 0xff_ffff), true);
      });
    }
    new Uint8Array(this.#allowances.mmap()).fill(0);
    age(new DataView(this.maps.details.mmap()), abi.sessionDetailSize, (view, at) => {
      const created = at + abi.sessionDetailOffset.createdTick;
      view.setUint32(created, (view.getUint32(created, true) - ticks) & 0xff_ffff, true);
    });
    age(new DataView(this.maps.pools.mmap()), abi.poolSize, (view, at) => {
      const until = at + abi.poolOffset.handoverUntil;
      view.setUint32(until, view.getUint32(until, true) - ticks, true);
    });
    this.#passLimits(ticks);
  }

  #passLimits(ticks: number): void {
    this.passLimitTime(ticks);
    age(new DataView(this.maps.limits.mmap()), abi.limitSize, (view, at) => {
      const over = at + abi.limitOffset.over;
      if (view.getBigUint64(at, true) !== 0n) view.setUint32(over, view.getUint32(over, true) - ticks, true);
    });
    const receipts = new Uint16Array(this.receipts);
    for (let at = 0; at < receipts.length; at += 4) {
      if (receipts[at + 1] !== 0 || receipts[at + 2] !== 0 || receipts[at + 3] !== 0) receipts[at]! -= ticks;
    }
  }

  /** For rates alone; parts of a tick too. */
  passLimitTime(ticks: number): void {
    const time = BigInt(Math.round(ticks * 2 ** 30));
    age(new DataView(this.maps.limits.mmap()), abi.limitSize, (view, at) => {
      const busy = at + abi.limitOffset.busyUntil;
      if (view.getBigUint64(at, true) !== 0n) view.setBigUint64(busy, view.getBigUint64(busy, true) - time, true);
    });
    // In halves: a hundred thousand cells are made older hundreds of times.
    const words = new Uint32Array(this.maps.sources.mmap());
    const [low, high] = [Number(time & 0xffff_ffffn), Number(time >> 32n)];
    for (let at = 0; at < words.length; at += 2) {
      const borrow = words[at]! < low ? 1 : 0;
      words[at]! -= low;
      words[at + 1]! -= high + borrow;
    }
  }

  passMs(ms: number): void {
    this.pass(Math.ceil(ms / this.clock.tickMs));
  }
}

export const frozenClock = {
  hz: 1,
  shift: FROZEN_SHIFT,
  tickMs: FROZEN_TICK_MS,
  now: () => 0,
  now32: () => 0,
  limitTime: () => 0n,
  close: () => {},
};

function sizesOf(options: DataPathOptions): Record<MapName, number> {
  const buckets = options.buckets ?? 64;
  const services = options.services ?? 64;
  const backends = options.backends ?? 64;
  const pools = options.pools ?? 16;
  return {
    settings: 1,
    vip_filter: 1,
    vips: services * 2,
    services,
    pools,
    maglev: options.tables ?? pools * 2,
    backends,
    turns: pools,
    loads: backends,
    quic_routes: 256,
    quic_servers: backends,
    aes: 1,
    egresses: 1024,
    access: options.accessEntries ?? 4096,
    limits: services * 2 - 1,
    refusals: services * 2 - 1,
    sources: options.sourceCells ?? 1024,
    sessions: buckets,
    details: buckets * 4,
    session_log: possibleCpus(),
    fragments: options.fragments ?? 1024,
    svc_counters: services,
    be_counters: backends,
    counters: 1,
    events: 1024 * 1024,
  };
}

function age(view: DataView, size: number, one: (view: DataView, at: number) => void): void {
  for (let at = 0; at + size <= view.byteLength; at += size) one(view, at);
}

function named(words: Readonly<Record<string, number>>, counts: readonly bigint[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [word, index] of Object.entries(words)) {
    const count = Number(counts[index] ?? 0n);
    if (count > 0) result[word] = count;
  }
  return result;
}
