import type { ActivateProgress, DrainProgress } from '../../../src/api/cluster_port.js';
import type {
  AgentPort,
  Applied,
  CaptureBatch,
  CapturedPacket,
  CaptureOptions,
  Explanation,
  Flow,
  LimitStatus,
  MeteringRecord,
  PoolUse,
  Session,
  SessionFilter,
  Status,
  UsageReport,
  Versioned,
} from '../../../src/api/port.js';
import { ConflictError } from '../../../src/base/errors.js';
import type { Desired } from '../../../src/config/desired.js';
import { clusterStatus } from '../../support/cluster_status.js';

/** The agent's contract kept in memory, with what tests want to look at and to break. */
export class FakeAgent implements AgentPort {
  current: Versioned = {
    desired: { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] },
    version: 0,
    appliedAtMs: null,
  };
  /** Thrown by whatever is called next. */
  failWith: unknown = null;
  applies = 0;
  sessionsHeld: Session[] = [];
  lastFilter: SessionFilter | null = null;
  lastFlow: Flow | null = null;
  pools: PoolUse[] = [];
  records: MeteringRecord[] = [];
  nextMs: number | null = null;
  lastQuery: Parameters<AgentPort['metering']['list']>[0] | null = null;
  reports: UsageReport[] = [];
  statusReads = 0;
  problems: string[] = [];
  /** Runs inside apply before the version is compared: somebody else's change. */
  beforeApply: (() => void) | null = null;
  readonly configWatchers = new Set<(now: Versioned) => void>();
  readonly statusWatchers = new Set<() => void>();

  readonly config: AgentPort['config'] = {
    current: () => this.#or(this.current),
    apply: async (desired, options) => this.#apply(desired, options),
    watch: (onChange) => {
      this.configWatchers.add(onChange);
      return () => this.configWatchers.delete(onChange);
    },
  };

  readonly status: AgentPort['status'] = {
    get: ({ summary }) => {
      this.statusReads++;
      return this.#or(statusOf(this, summary));
    },
    watch: (onChange) => {
      this.statusWatchers.add(onChange);
      return () => this.statusWatchers.delete(onChange);
    },
    addresses: () => this.#or(this.pools),
  };

  captureOptions: CaptureOptions | null = null;
  captured: CapturedPacket[] = [];

  /** Hands over what is in `captured`, then waits for the end. */
  readonly capture: AgentPort['capture'] = {
    capture: (options, signal) => this.#capture(options, signal),
  };

  async *#capture(options: CaptureOptions, signal: AbortSignal): AsyncGenerator<CaptureBatch> {
    this.#or(null);
    this.captureOptions = options;
    yield { packets: [], suppressed: 0, interfaces: [{ index: 2, name: 'eth0' }] };
    yield { packets: this.captured, suppressed: 7, interfaces: [] };
    if (options.count !== null) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  readonly sessions: AgentPort['sessions'] = {
    list: (filter, { cursor, limit }) => {
      this.lastFilter = filter;
      const end = cursor + limit;
      const sessions = this.#or(this.sessionsHeld).slice(cursor, end);
      return { sessions, nextCursor: end < this.sessionsHeld.length ? end : null };
    },
    explain: (flow) => {
      this.lastFlow = flow;
      return this.#or(explanation(flow));
    },
    purge: async (filter) => {
      this.lastFilter = filter;
      const purged = this.#or(this.sessionsHeld).length;
      this.sessionsHeld = [];
      return purged;
    },
  };

  readonly metering: AgentPort['metering'] = {
    list: async (query) => {
      this.lastQuery = query;
      return this.#or({ records: this.records, nextMs: this.nextMs });
    },
    report: async (report) => {
      this.reports.push(report);
      return this.#or(report.usage.map(({ vip }) => vip).filter((vip) => vip !== '192.0.2.1'));
    },
  };

  clusterStatus = clusterStatus();
  drainTimeoutMs: number | null = null;
  drainSteps: DrainProgress[] = [];
  activateSteps: ActivateProgress[] = [];
  readonly clusterWatchers = new Set<() => void>();

  readonly cluster: AgentPort['cluster'] = {
    get: () => this.#or(this.clusterStatus),
    watch: (onChange) => {
      this.clusterWatchers.add(onChange);
      return () => this.clusterWatchers.delete(onChange);
    },
    drain: ({ timeoutMs }) => {
      this.drainTimeoutMs = timeoutMs;
      return this.#steps(this.drainSteps);
    },
    activate: () => this.#steps(this.activateSteps),
  };

  /** What there is of them, then the fault, if one waits. */
  async *#steps<Step>(steps: readonly Step[]): AsyncGenerator<Step> {
    yield* steps;
    this.#or(null);
  }

  readonly node: AgentPort['node'] = {
    version: () =>
      this.#or({
        version: '0.1.0',
        layoutVersion: 1,
        nodeVersion: 'v20',
        kernel: '6.18',
        libbpf: '1.1',
        programTag: 'abcd',
        verifiedInstructions: 9,
        programs: [
          { name: 'lb', tag: 'abcd', verifiedInstructions: 9, jitedBytes: 100 },
          { name: 'probe', tag: 'ef01', verifiedInstructions: 5, jitedBytes: 0 },
        ],
      }),
    reconcile: async () => this.#or({ repairs: 2, steps: ['backend 7: rewritten', 'vip 192.0.2.1: added'] }),
    detach: async () => this.#or({ interfaces: ['eth0'] }),
  };

  put(desired: Desired): void {
    this.current = { desired, version: this.current.version + 1, appliedAtMs: 1_700_000_000_123 };
    for (const watcher of this.configWatchers) watcher(this.current);
  }

  changeStatus(problem: string): void {
    this.problems = [problem];
    for (const watcher of this.statusWatchers) watcher();
  }

  #apply(desired: Desired, options: { expectedVersion: number | null; validateOnly: boolean }): Applied {
    this.applies++;
    this.beforeApply?.();
    this.#or(null);
    const { expectedVersion, validateOnly } = options;
    if (expectedVersion !== null && expectedVersion !== this.current.version) {
      throw new ConflictError(expectedVersion, this.current.version);
    }
    const changed = JSON.stringify(desired) !== JSON.stringify(this.current.desired);
    const steps = changed ? desired.loadBalancers.map(({ name }) => `load balancer ${name}`) : [];
    if (changed && !validateOnly) this.put(desired);
    return { version: this.current.version, changed, steps };
  }

  #or<T>(value: T): T {
    if (this.failWith === null) return value;
    const error = this.failWith;
    this.failWith = null;
    throw error;
  }
}

const traffic = {
  packets: 9_007_199_254_740_993n,
  bytes: 18_446_744_073_709_551_615n,
  newSessions: 3n,
  packetsWithoutSession: 0n,
  activeSessions: 2,
};

const limit: LimitStatus = {
  limits: {
    newSessionsPerSecond: 1,
    sessions: 2,
    bitsPerSecond: 3,
    packetsPerSecond: 4,
    newSessionsPerSecondPerSource: 5,
  },
  sessions: 6,
  newSessionsPerSecond: 7,
  bitsPerSecond: 8,
  packetsPerSecond: 9,
  refused: {
    access_denied: 10n,
    connection_rate: 11n,
    session_limit: 12n,
    bandwidth_limit: 13n,
    packet_limit: 14n,
    source_rate: 15n,
  },
};

function statusOf(agent: FakeAgent, summary: boolean): Status {
  const change = { key: 'k', atMs: 5000, from: 'unknown', to: 'unhealthy', reason: 'connect: ECONNREFUSED' } as const;
  return {
    node: {
      instance: 'default',
      hostname: 'lb1',
      version: '0.1.0',
      startedAtMs: 1500,
      pid: 42,
      attachments: [
        {
          interface: 'eth0',
          mode: 'native',
          attached: true,
          mac: '02:00:00:00:00:01',
          mtu: 1500,
          fallbackReason: '',
          serves: ['eth0'],
        },
      ],
    },
    configVersion: agent.current.version,
    configAppliedAtMs: agent.current.appliedAtMs,
    sessionTable: {
      slots: 1024,
      young: 1,
      established: 2,
      closing: 3,
      countedAtMs: 2000,
      events: {
        inserted: 1n,
        moved: 2n,
        reused_expired: 3n,
        evicted_closing: 4n,
        evicted_young: 5n,
        evicted_old: 6n,
        not_tracked: 7n,
        reselected: 8n,
      },
    },
    loadBalancers: [{ loadBalancer: 'web', limit }],
    listeners: [
      {
        loadBalancer: 'web',
        listener: 'tcp-443',
        addresses: ['192.0.2.1'],
        protocol: 'tcp',
        port: 443,
        backendGroup: 'web',
        forwarding: 'IPIP',
        scheduler: 'TCH',
        stopped: false,
        traffic,
        backendsTotal: 1,
        backendsHealthy: 0,
        failingOpen: true,
        accessControl: { mode: 'DENY', accessList: 'bots' },
        limit,
        backends: summary
          ? []
          : [
              {
                name: 'be1',
                address: '203.0.113.1',
                weight: 100,
                effectiveWeight: 55,
                zone: 'a',
                health: 'unhealthy',
                agreedHealth: 'healthy',
                up: true,
                draining: false,
                nextHopMac: '',
                egressInterface: '',
                egressVlan: 0,
                reason: 'connect: ECONNREFUSED',
                sinceMs: 5000,
                lastCheckUs: 1500,
                traffic,
                history: [change],
              },
            ],
      },
    ],
    reasons: [
      {
        reason: 'no_listener',
        drop: true,
        packets: 5n,
        help: 'no listener takes it',
        lastSample: {
          atMs: 1000,
          source: '198.51.100.7',
          destination: '192.0.2.1',
          sourcePort: 1,
          destinationPort: 2,
          ipProtocol: 6,
          length: 64,
          frame: Uint8Array.of(2, 0, 0),
        },
      },
    ],
    reconciliation: { lastAtMs: null, runs: 1, repairs: 0, failures: 0, lastError: '' },
    problems: agent.problems,
  };
}

export function session(clientPort: number): Session {
  return {
    protocol: 'udp',
    client: '198.51.100.7',
    clientPort,
    vip: '192.0.2.1',
    vipPort: 53,
    loadBalancer: 'dns',
    listener: 'udp-53',
    backendGroup: 'dns',
    backend: 'be1',
    backendAddress: '203.0.113.1',
    state: 'young',
    ageMs: 1250,
    idleMs: 250,
    expiresInMs: 89_750,
  };
}

function explanation({ vip }: Flow): Explanation {
  return {
    verdict: 'forward',
    reason: '',
    steps: [`VIP ${vip}`, 'Maglev slot 7'],
    session: session(1),
    chosenBy: 'maglev',
    maglevSlot: 7,
    loadBalancer: 'dns',
    listener: 'udp-53',
    backendGroup: 'dns',
    backend: 'be1',
    backendAddress: '203.0.113.1',
    nextHopMac: '02:00:00:00:00:02',
    egressInterface: 'eth0.20',
    egressVlan: 20,
    forwarding: 'L2_DSR',
  };
}
