import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Life } from '../../../../src/cluster/types.js';
import { SyncCore, type SyncEvents, type SyncTable } from '../../../../src/dataplane/addon.js';
import { openSync } from '../../../../src/sync/open.js';
import type { EngineFactory, TablePort } from '../../../../src/sync/ports.js';
import type { ClusterSync, Dictionary, JoinResult } from '../../../../src/sync/types.js';
import { wireId } from '../../../../src/sync/wire.js';
import { type Heard, listeningLog } from '../listening_log.js';
import type { SimClock } from '../sim_clock.js';
import { DataPath } from './data_path.js';
import type { Network } from './network.js';

export const TICK_MS = 250;
const BUCKETS = 8192;
const IDLE_POLL_MS = 20;
const BUSY_POLL_MS = 1;
/** Polls in a row at the shorter interval after something came in or went out. */
const BUSY_POLLS = 8;

export interface NodeOptions {
  readonly name: string;
  readonly address: string;
  readonly clock: SimClock;
  readonly network: Network;
  readonly recordsPerSecond: number;
  /** Local numbers of the backends, by their index: other ones on each node. */
  readonly numbers: readonly number[];
  readonly keys: string;
  /** Table operations one after the other, and time stands still meanwhile. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  readonly onUnannounced: (count: number) => void;
}

/** One machine: its kernel's table, and the agent's part in the cluster when that runs. */
export class SimNode {
  readonly stateDirectory = mkdtempSync(path.join(tmpdir(), 'spillway-simulation-'));
  readonly keyFile = path.join(this.stateDirectory, 'keys');
  readonly log: Heard = listeningLog();
  kernel = new DataPath(BUCKETS);
  /** Of the backends: who is in this node's configuration now. */
  backends: readonly number[] = [];
  /** The kernel forwards: the machine runs and its routes are announced. */
  announces = false;
  sync: ClusterSync | null = null;
  joined: JoinResult | null = null;
  /** When that was, and when the machine was last lost. */
  joinedMs = Number.POSITIVE_INFINITY;
  diedMs = Number.NEGATIVE_INFINITY;
  refused = 0n;
  #table: SyncTable | null = null;
  #stopPolling: () => void = () => {};
  #busy = 0;
  /** Of the wall clock of this machine. */
  wallOffsetMs = 0;
  #life: Life = 'joining';
  #random = 0n;

  constructor(readonly options: NodeOptions) {
    writeFileSync(this.keyFile, options.keys);
  }

  get name(): string {
    return this.options.name;
  }

  tick(): number {
    return 5000 + Math.floor(this.options.clock.monotonicMs() / TICK_MS);
  }

  dictionary(): Dictionary {
    const { numbers } = this.options;
    const backendWire = new Uint32Array(1 + Math.max(...numbers));
    const backendPool = new Uint16Array(backendWire.length);
    for (const index of this.backends) {
      backendWire[numbers[index]!] = wireId('simulated backend', String(index));
      backendPool[numbers[index]!] = 1;
    }
    return {
      serviceWire: Uint32Array.of(0, wireId('simulated service')),
      servicePool: Uint16Array.of(0, 1),
      serviceProtocol: Uint8Array.of(0, 6),
      ...{ backendWire, backendPool, timeouts: timeoutTicks },
    };
  }

  /** The agent starts. */
  async start(): Promise<void> {
    const { clock, network, address, name, recordsPerSecond } = this.options;
    const table = this.kernel.syncTable();
    this.#table = table;
    this.#life = 'joining';
    this.setClock();
    const nodeClock = {
      monotonicMs: () => clock.monotonicMs(),
      wallMs: () => clock.wallMs() + this.wallOffsetMs,
      after: (ms: number, run: () => void) => clock.after(ms, run, true),
    };
    this.sync = await openSync({
      config: {
        ...{ interface: 'sim0', address, group: '239.0.0.1', port: 3784, peers: [], keyFile: this.keyFile },
        ...{ recordsPerSecond, joinTimeoutMs: 10_000, tls: null },
      },
      clusterSecret: null,
      stateDirectory: this.stateDirectory,
      table: this.#port(table),
      sessionLog: this.kernel.log,
      ticks: { tickMs: TICK_MS, now: () => this.tick() & 0xff_ffff },
      report: this.#report(),
      dictionary: this.dictionary(),
      purge: async () => 0,
      log: this.log,
      ports: {
        clock: nodeClock,
        random: (count) => Buffer.from(wireIds(`${name} ${this.#random++}`, count)),
        engine: this.#engine(),
        transfer: network.transfer(address, clock),
        addressOf: () => address,
      },
    });
  }

  async join(): Promise<JoinResult> {
    const result = await this.sync!.join({ onProgress: () => {} });
    this.joined = result;
    this.joinedMs = this.options.clock.monotonicMs();
    this.#life = 'active';
    this.sync?.setReport(this.#report());
    return result;
  }

  #report() {
    return {
      ...{ name: this.name, zone: '', life: this.#life, version: '0', configVersion: 1n, configDigest: 1n },
      ...{ flowKeyDigest: 9n, sessions: this.kernel.count(), announced: 1, suspect: false, startedAtMs: 0 },
    };
  }

  /** A native engine's core, a network that is simulated, and a thread that is not there. */
  #engine(): EngineFactory {
    const { clock, network, address } = this.options;
    return ({ table: _, ...options }, onEvents) => {
      const core = new SyncCore({ ...options, table: this.#table! });
      let closed = false;
      const now = () => BigInt(Math.round(clock.monotonicMs() * 1e6));
      const poll = (): void => {
        if (closed) return;
        this.#busy--;
        const out = core.poll(now());
        for (const { to, datagram } of out) network.send(address, to?.address ?? null, new Uint8Array(datagram));
        if (out.length > 0) this.#busy = BUSY_POLLS;
        deliver(core.events());
        later();
      };
      const deliver = (events: SyncEvents): void => {
        if (events.unannounced > 0) this.options.onUnannounced(events.unannounced);
        if (events.control.length + events.lost.length + events.unannounced > 0) onEvents(events);
      };
      let cancel = (): void => {};
      const later = (): void => {
        cancel = clock.after(this.#busy > 0 ? BUSY_POLL_MS : IDLE_POLL_MS, poll);
      };
      const soon = (): void => {
        const wasIdle = this.#busy <= 0;
        this.#busy = BUSY_POLLS;
        if (!wasIdle || closed) return;
        cancel();
        later();
      };
      this.#stopPolling = () => {
        closed = true;
        cancel();
      };
      this.soon = soon;
      network.connect(address, {
        receive: (datagram, from) => {
          core.receive(datagram, { address: from, port: 3784 }, now());
          soon();
        },
      });
      later();
      return {
        setKeys: (keys) => core.setKeys(keys),
        admit: (node, boot) => core.admit(node, boot),
        forget: (node) => core.forget(node),
        control: (body, to) => {
          core.control(body, to);
          soon();
        },
        counters: () => {
          const counts = core.counters();
          this.refused = counts['droppedUnauthenticated']!;
          return counts;
        },
        peers: () => core.peers(),
        sendError: () => null,
        close: () => this.#stopPolling(),
      };
    };
  }

  /** The log has something new. */
  soon: () => void = () => {};

  #port(table: SyncTable): TablePort {
    const { exclusively } = this.options;
    return {
      setDictionary: (dictionary) => table.setDictionary(dictionary),
      // Ticks are told by the simulation.
      setClock: () => {},
      digest: (ranges) => exclusively(() => table.digest(ranges)),
      export: (options) => exclusively(() => table.export(options)),
      import: (records, origin) => exclusively(() => table.import(records, origin)),
    };
  }

  setClock(): void {
    this.#table?.setClock({ tick: this.tick() & 0xff_ffff, monotonicNs: 0n, tickNs: 0 });
  }

  setBackends(backends: readonly number[]): void {
    this.backends = backends;
    this.sync?.setDictionary(this.dictionary());
  }

  /** The agent is gone, without a word; the kernel goes on. */
  async kill(): Promise<void> {
    const { network, address } = this.options;
    network.disconnect(address);
    this.#stopPolling();
    this.soon = () => {};
    const { sync } = this;
    this.sync = null;
    this.joined = null;
    await sync?.close();
  }

  /** The machine is gone, and what it knew. */
  async die(): Promise<void> {
    this.announces = false;
    this.diedMs = this.options.clock.monotonicMs();
    await this.kill();
    this.kernel = new DataPath(BUCKETS);
  }

  remove(): void {
    rmSync(this.stateDirectory, { recursive: true });
  }

  async sweep(): Promise<void> {
    await this.options.exclusively(() => this.kernel.sweep(timeoutTicks, this.tick()));
    this.sync?.setReport(this.#report());
  }

  async digest(): Promise<string> {
    const { counts, sums } = await this.options.exclusively(() => this.#table!.digest(64));
    return `${counts.join()} ${sums.join()}`;
  }
}

export const TIMEOUT_MS = 300_000;
const CLOSING_MS = 30_000;
/** Of service 1: source, young, established, closing. */
const timeoutTicks = Uint16Array.from([0, 0, 0, 0, 0, 60_000, TIMEOUT_MS, CLOSING_MS], (ms) => ms / TICK_MS);

function wireIds(name: string, count: number): Uint8Array {
  const words = Uint32Array.from({ length: Math.ceil(count / 4) }, (_, i) => wireId(name, String(i)));
  return new Uint8Array(words.buffer, 0, count);
}
