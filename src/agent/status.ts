import { hostname } from 'node:os';
import { SessionState } from '../abi/abi.generated.js';
import type {
  AttachmentStatus,
  BackendStatus,
  DropSample,
  LimitStatus,
  ListenerStatus,
  Status,
  TableEvent,
  TrafficStatus,
} from '../api/port.js';
import type { Standing } from '../cluster/agreement.js';
import type { CompiledBackend, CompiledService } from '../compile/compiled.js';
import type { Counters, TrafficCount } from '../dataplane/counters.js';
import type { LimitMap } from '../dataplane/limits.js';
import type { HealthRecord } from '../health/types.js';
import type { Controller } from './controller.js';
import { disagreement } from './health-agreement.js';
import type { LimitGauges } from './limit-gauge.js';
import { limitStatuses } from './limit-status.js';
import { reasons, tableEventWords } from './reasons.js';
import type { SessionCounts } from './sweeper.js';

export interface StatusSources {
  readonly instance: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly slots: number;
  readonly controller: Controller;
  readonly counters: Counters;
  readonly limitRows: LimitMap;
  readonly gauges: Pick<LimitGauges, 'ratesOf'>;
  readonly sessionCounts: () => SessionCounts | null;
  readonly health: (key: string) => HealthRecord | null;
  readonly standing: (key: string) => Standing | null;
  readonly attachments: () => readonly AttachmentStatus[];
  readonly dropSample: (reason: number) => DropSample | null;
  readonly reconciliation: () => Status['reconciliation'];
  readonly problems: () => readonly string[];
}

export function buildStatus(sources: StatusSources, { summary }: { summary: boolean }): Status {
  const { controller, counters } = sources;
  const { version, appliedAtMs } = controller.current();
  return {
    node: {
      instance: sources.instance,
      hostname: hostname(),
      version: sources.version,
      startedAtMs: sources.startedAtMs,
      pid: process.pid,
      attachments: sources.attachments(),
    },
    configVersion: version,
    configAppliedAtMs: appliedAtMs,
    sessionTable: sessionTable(sources, counters.global().table),
    ...served(sources, summary),
    reasons: reasonStatus(sources, counters.global().reasons),
    reconciliation: sources.reconciliation(),
    problems: sources.problems(),
  };
}

function sessionTable({ slots, sessionCounts }: StatusSources, table: readonly bigint[]): Status['sessionTable'] {
  const counts = sessionCounts();
  return {
    slots,
    young: counts?.byState[SessionState.SESSION_YOUNG] ?? 0,
    established: counts?.byState[SessionState.SESSION_ESTABLISHED] ?? 0,
    closing: counts?.byState[SessionState.SESSION_CLOSING] ?? 0,
    countedAtMs: counts?.atMs ?? null,
    events: Object.fromEntries(tableEventWords.map((word, i) => [word, table[i] ?? 0n])) as Record<TableEvent, bigint>,
  };
}

function reasonStatus({ dropSample }: StatusSources, counts: readonly bigint[]): Status['reasons'] {
  return reasons.map(({ index, word, drop, help }) => ({
    reason: word,
    drop,
    packets: counts[index] ?? 0n,
    help,
    lastSample: drop ? dropSample(index) : null,
  }));
}

function served(sources: StatusSources, summary: boolean): Pick<Status, 'listeners' | 'loadBalancers'> {
  const { controller, limitRows: rows, gauges, sessionCounts } = sources;
  const limits = controller.compiled?.limits ?? new Map<number, never>();
  const statusOf = limitStatuses(limits, { rows, gauges, counts: sessionCounts() });
  const ofListener = new Map([...limits.values()].map(({ id, listener }) => [listener, id]));
  return {
    listeners: listeners(sources, summary, (listener) => {
      const id = ofListener.get(listener);
      return id === undefined ? null : statusOf(id);
    }),
    loadBalancers: [...limits.values()].flatMap(({ id, listener, loadBalancer }) =>
      listener === null ? [{ loadBalancer: loadBalancer.name, limit: statusOf(id) }] : [],
    ),
  };
}

function listeners(
  sources: StatusSources,
  summary: boolean,
  limitOf: (listener: CompiledService['listener']) => LimitStatus | null,
): ListenerStatus[] {
  const { controller, counters, sessionCounts } = sources;
  const compiled = controller.compiled;
  if (!compiled) return [];
  const traffic = counters.services(highest(compiled.services.keys()));
  const backendTraffic = summary ? () => null : counters.backends(highest(compiled.backends.keys()));
  const counts = sessionCounts();
  const byListener = new Map<CompiledService['listener'], CompiledService[]>();
  for (const service of compiled.services.values()) {
    const known = byListener.get(service.listener);
    if (known) known.push(service);
    else byListener.set(service.listener, [service]);
  }
  return [...byListener.values()].map((services) => {
    const { listener, loadBalancer, pool } = services[0]!;
    return {
      loadBalancer: loadBalancer.name,
      listener: listener.name,
      addresses: loadBalancer.addresses,
      protocol: listener.protocol,
      port: listener.port,
      backendGroup: pool.group.name,
      forwarding: pool.group.forwarding,
      scheduler: listener.scheduler,
      stopped: listener.stopped,
      traffic: sum(
        services.map(({ id }) => traffic(id)),
        services.reduce((total, { id }) => total + (counts?.byService[id] ?? 0), 0),
      ),
      backends: summary
        ? []
        : pool.backends.map((backend) =>
            backendStatus(sources, backend, sum([backendTraffic(backend.id)!], counts?.byBackend[backend.id] ?? 0)),
          ),
      backendsTotal: pool.backends.length,
      backendsHealthy: pool.healthyCount,
      failingOpen: pool.failingOpen,
      accessControl: listener.accessControl,
      limit: limitOf(listener),
    };
  });
}

function backendStatus(
  { health, standing }: StatusSources,
  {
    backend,
    effectiveWeight,
    health: agreed,
    ownHealth: own,
    up,
    problem,
    nextHopMac,
    device,
    vlan,
    checkKey,
  }: CompiledBackend,
  traffic: TrafficStatus,
): BackendStatus {
  const record = own === 'unchecked' ? null : health(checkKey);
  const others = own === 'unchecked' ? '' : disagreement(own, standing(checkKey));
  return {
    name: backend.name,
    address: backend.address,
    weight: backend.weight,
    effectiveWeight,
    zone: backend.zone,
    health: own,
    agreedHealth: agreed,
    up,
    draining: backend.weight === 0,
    nextHopMac,
    egressInterface: device,
    egressVlan: vlan,
    reason: problem || [record?.reason ?? '', others].filter((text) => text !== '').join('; '),
    sinceMs: record?.sinceMs ?? null,
    lastCheckUs: record?.lastCheckUs ?? null,
    traffic,
    history: record?.history ?? [],
  };
}

function sum(counts: readonly TrafficCount[], activeSessions: number): TrafficStatus {
  const total = { packets: 0n, bytes: 0n, newSessions: 0n, packetsWithoutSession: 0n };
  for (const { packets, bytes, sessions, noSession } of counts) {
    total.packets += packets;
    total.bytes += bytes;
    total.newSessions += sessions;
    total.packetsWithoutSession += noSession;
  }
  return { ...total, activeSessions };
}

function highest(ids: Iterable<number>): number {
  let max = 0;
  for (const id of ids) if (id > max) max = id;
  return max;
}
