import { ClusterNode, type ClusterOptions } from '../../../src/agent/cluster.js';
import { createClusterPort } from '../../../src/agent/cluster-port.js';
import type { ClusterPort } from '../../../src/api/cluster_port.js';
import type { Versioned } from '../../../src/api/port.js';
import type { Logger } from '../../../src/base/log.js';
import type { Announcer, Route, RoutesStatus } from '../../../src/bgp/types.js';
import type { Peer } from '../../../src/cluster/types.js';
import { compile } from '../../../src/compile/compile.js';
import type { Compiled } from '../../../src/compile/compiled.js';
import { IdLedger } from '../../../src/compile/ids.js';
import type { Desired } from '../../../src/config/desired.js';
import type { ClusterSync, JoinProgress, JoinResult } from '../../../src/sync/types.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck } from '../../support/desired.js';
import { FakeClock } from '../health/fakes.js';

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
export const vips = ['192.0.2.10', '192.0.2.20'] as const;

/** Takes what it is told at once, unless it refuses. */
export class FakeAnnouncer implements Announcer {
  announced: readonly Route[] = [];
  refuses = '';
  readonly told: (readonly string[])[] = [];
  closed: { readonly withdraw: boolean } | null = null;
  neighbors: RoutesStatus['neighbors'] = [];
  readonly #listeners = new Set<() => void>();

  async set(routes: readonly Route[]): Promise<void> {
    this.told.push(routes.map(({ vip }) => vip));
    if (this.refuses !== '') throw new Error(this.refuses);
    this.announced = routes;
    for (const listener of this.#listeners) listener();
  }

  status(): ReturnType<Announcer['status']> {
    return { kind: 'bird', announced: this.announced, neighbors: this.neighbors, engine: null, problems: [] };
  }

  /** A router hears this node, or does not. */
  setNeighbor(state: string): void {
    const since = { sinceMs: null, routesExported: 0, error: '' };
    this.neighbors = [{ address: '198.51.100.1', family: 4, state, bfd: 'up', ...since }];
    for (const listener of this.#listeners) listener();
  }

  onChange(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  async close(options: { readonly withdraw: boolean }): Promise<void> {
    this.closed = options;
    if (options.withdraw) this.announced = [];
  }
}

type Report = Parameters<ClusterSync['setReport']>[0];

/** Peers that a test sets, and joins that it ends. */
export class FakeSync {
  list: readonly Peer[] = [];
  reports: Report[] = [];
  joins: {
    onProgress: (progress: JoinProgress) => void;
    end: (result?: Partial<JoinResult>) => void;
    fail: (error: Error) => void;
  }[] = [];
  closed = false;
  readonly #listeners = new Set<() => void>();

  setPeers(peers: readonly Peer[]): void {
    this.list = peers;
    for (const listener of this.#listeners) listener();
  }

  readonly port: ClusterSync = {
    counters: () => ({}) as ReturnType<ClusterSync['counters']>,
    repairs: () => ({ compared: 0, differing: 0, fetched: 0, applied: 0, failed: 0 }),
    transferPort: 0,
    setReport: (report) => this.reports.push(report),
    setVerdicts: () => {},
    setDictionary: () => {},
    join: ({ onProgress }) =>
      new Promise((resolve, reject) => {
        const whole = { from: 'lb2', sessions: 100, durationMs: 5, mendedRanges: 0, reason: '' };
        this.joins.push({ onProgress, end: (result) => resolve({ ...whole, ...result }), fail: reject });
      }),
    peers: () => this.list,
    onPeers: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    purgeOnPeers: async () => [],
    withoutRepair: (work) => work(),
    problems: () => [],
    close: async () => {
      this.closed = true;
    },
  };
}

/** A node with two VIPs of a LoadBalancer each, one backend behind both; everything around it is in memory. */
export class World {
  readonly clock = new FakeClock();
  readonly announcer = new FakeAnnouncer();
  readonly sync = new FakeSync();
  /** What is on disk. */
  withdrawn = false;
  diskFault = '';
  /** When it has answered. */
  disk: Promise<void> = Promise.resolve();
  packets = 0n;
  newSessions = 0n;
  dataPlaneFault = '';
  desired: Desired;
  compiled: Compiled | null;
  readonly node: ClusterNode;
  readonly port: ClusterPort;
  readonly #ids = new IdLedger({ services: 64, pools: 32, backends: 64 });

  constructor(
    options: {
      readonly sync?: boolean;
      readonly routes?: boolean;
      readonly zone?: string;
      zones?: [string, string];
    } = {},
  ) {
    const [primaryZone, secondaryZone] = options.zones ?? ['', ''];
    this.desired = desiredOf(
      vips.map((vip, i) =>
        loadBalancer(
          i === 0 ? 'web' : 'api',
          [vip],
          [listener({ port: 443, backendGroup: i === 0 ? 'web' : 'api', healthCheck: tcpCheck })],
          { primaryZone, secondaryZone },
        ),
      ),
      [
        group('web', 'L2_DSR', [backend('be1', '203.0.113.21')]),
        group('api', 'L2_DSR', [backend('be2', '203.0.113.22')]),
      ],
    );
    this.compiled = this.#compile();
    const node = {
      name: 'lb1',
      zone: options.zone ?? '',
      onTermination: 'keep',
      drainTimeoutMs: 60_000,
    } as const;
    const parts: ClusterOptions = {
      config: {
        node,
        zones: { holdDownMs: 10_000 },
        agreement: { quorum: 'majority', suspectPercent: 50, suspectWithdraws: false },
      },
      version: '0.1.0',
      startedAtMs: 0,
      sync: options.sync === false ? null : this.sync.port,
      announcer: options.routes === false ? null : this.announcer,
      lifeFile: {
        isWithdrawn: async () => this.withdrawn,
        setWithdrawn: async (withdrawn) => {
          await this.disk;
          if (this.diskFault !== '') throw new Error(this.diskFault);
          this.withdrawn = withdrawn;
        },
      },
      flowKeyDigest: 1n,
      clock: this.clock,
      log: quiet,
      current: (): Versioned => ({ desired: this.desired, version: 1, appliedAtMs: 0 }),
      compiled: () => this.compiled,
      dataPlaneFault: () => this.dataPlaneFault,
      sessions: () => 7,
      traffic: () => ({ packets: this.packets, newSessions: this.newSessions }),
      suspect: () => false,
      onChange: () => {},
    };
    this.node = new ClusterNode(parts);
    this.port = createClusterPort(this.node, { clock: this.clock, drainTimeoutMs: node.drainTimeoutMs });
  }

  #compile(unhealthy: readonly string[] = []): Compiled {
    return compile(this.desired, seen(this.desired, { unhealthy }), this.#ids, { tickMs: 256 });
  }

  setUnhealthy(...names: readonly string[]): void {
    this.compiled = this.#compile(names);
    this.node.refresh();
  }

  /** As after a change of every health check. */
  forgetHealth(): void {
    const nothing = { ...seen(this.desired), health: new Map() };
    this.compiled = compile(this.desired, nothing, this.#ids, { tickMs: 256 });
    this.node.refresh();
  }

  /** Time passes in steps, and everything that waits for a promise has its turn. */
  async pass(durationMs: number): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += 10) {
      this.clock.advance(Math.min(10, durationMs - passed));
      await settled();
    }
    await settled();
  }

  get announced(): readonly string[] {
    return this.announcer.announced.map(({ vip }) => vip);
  }

  reasons(): readonly string[] {
    return this.port.get().routes.vips.map(({ reason }) => reason);
  }
}

export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Everything that a command says, and how it ended, while the test goes on. */
export function follow<T>(stream: AsyncIterable<T>): { readonly said: T[]; ended: boolean; error: unknown } {
  const state = { said: [] as T[], ended: false, error: null as unknown };
  void (async () => {
    try {
      for await (const value of stream) state.said.push(value);
    } catch (error) {
      state.error = error;
    }
    state.ended = true;
  })();
  return state;
}

/** A caller that waits to the end. */
export const never = (): AbortSignal => new AbortController().signal;
