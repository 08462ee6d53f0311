import type { AgentPort, CapturedPacket, Session, SessionFilter, Versioned } from '../../../src/api/port.js';
import { ConflictError } from '../../../src/base/errors.js';
import { clusterStatus } from '../../support/cluster_status.js';
import { backend, listener, status } from '../../unit/metrics/fixture.js';

const captured: CapturedPacket = {
  atNs: 1_700_000_000_123_456_789n,
  interfaceIndex: 2,
  data: Buffer.from(
    '02000000000102000000000208004500002800010000400600000a000001c000020a9c400050000000010000000050020000',
    'hex',
  ),
  originalLength: 60,
  verdict: 'drop',
  reason: 'no_listener',
  loadBalancer: 'web',
  listener: '',
  backend: '',
};

/** Keeps the desired state and some sessions in memory: enough for the API server to be itself. */
export function memoryAgent(): AgentPort {
  let now: Versioned = {
    desired: { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] },
    version: 0,
    appliedAtMs: null,
  };
  let sessions = Array.from({ length: 30 }, (_, i) => session(i));
  return {
    config: {
      current: () => now,
      async apply(desired, { expectedVersion, validateOnly }) {
        if (expectedVersion !== null && expectedVersion !== now.version) {
          throw new ConflictError(expectedVersion, now.version);
        }
        const changed = JSON.stringify(desired) !== JSON.stringify(now.desired);
        const version = changed && !validateOnly ? now.version + 1 : now.version;
        if (!validateOnly) now = { desired, version, appliedAtMs: 1000 };
        return { version, changed, steps: changed ? ['swap the state in memory'] : [] };
      },
      watch: () => () => undefined,
    },
    status: {
      get: ({ summary }) => status([listener('https', summary ? [] : [backend('be1', { health: 'unchecked' })])]),
      watch: () => () => undefined,
      addresses: () => [],
    },
    metering: {
      list: async () => ({ records: [], nextMs: null }),
      report: async () => [],
    },
    capture: {
      async *capture({ count }, signal) {
        yield { packets: [], suppressed: 0, interfaces: [{ index: 2, name: 'eth0' }] };
        yield { packets: [captured], suppressed: 7, interfaces: [] };
        if (count === null) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
    },
    sessions: {
      list(filter, { cursor, limit }) {
        const found = sessions.slice(cursor, cursor + limit).filter((one) => matches(one, filter));
        return { sessions: found, nextCursor: cursor + limit < sessions.length ? cursor + limit : null };
      },
      explain: (flow) => ({
        verdict: 'pass',
        reason: 'not_vip',
        steps: [`${flow.vip} is no VIP`],
        session: null,
        chosenBy: null,
        maglevSlot: null,
        loadBalancer: '',
        listener: '',
        backendGroup: '',
        backend: '',
        backendAddress: '',
        nextHopMac: '',
        egressInterface: '',
        egressVlan: 0,
        forwarding: null,
      }),
      async purge(filter) {
        const kept = sessions.filter((one) => filter !== null && !matches(one, filter));
        const purged = sessions.length - kept.length;
        sessions = kept;
        return purged;
      },
    },
    cluster: {
      get: clusterStatus,
      watch: () => () => undefined,
      async *drain() {
        yield { life: 'stopped', announced: 0, packetsPerSecond: 0, done: true, message: 'drained' };
      },
      async *activate() {
        yield { life: 'active', sessions: 1, sessionsExpected: 1, announced: 2, done: true, message: '' };
      },
    },
    node: {
      version: () => ({
        version: '0.1.0',
        layoutVersion: 1,
        nodeVersion: process.version,
        kernel: '6.1.0',
        libbpf: '1.1',
        programTag: '0123456789abcdef',
        verifiedInstructions: 12_345,
        programs: [
          { name: 'lb', tag: '0123456789abcdef', verifiedInstructions: 12_345, jitedBytes: 23_456 },
          { name: 'probe', tag: 'fedcba9876543210', verifiedInstructions: 290, jitedBytes: 0 },
        ],
      }),
      reconcile: async () => ({ repairs: 0, steps: [] }),
      detach: async () => ({ interfaces: [] }),
    },
  };
}

function matches(session: Session, filter: SessionFilter): boolean {
  return filter.backend === undefined || session.backend === filter.backend;
}

function session(i: number): Session {
  return {
    protocol: 'tcp',
    client: `198.51.100.${i}`,
    clientPort: 40_000,
    vip: '192.0.2.1',
    vipPort: 443,
    loadBalancer: 'web',
    listener: 'https',
    backendGroup: 'pool',
    backend: i % 3 === 0 ? 'be1' : 'be2',
    backendAddress: '203.0.113.11',
    state: 'established',
    ageMs: 12_000,
    idleMs: 1500,
    expiresInMs: 898_500,
  };
}
