import { SessionState as StateNumber } from '../abi/abi.generated.js';
import type { Session, SessionFilter, SessionPort, SessionState } from '../api/port.js';
import { familyOf, ipToBytes } from '../base/ip.js';
import { protocolNumber } from '../compile/compile.js';
import type { Compiled } from '../compile/compiled.js';
import type { SessionEntry, SessionTable } from '../dataplane/session-table.js';
import type { Controller } from './controller.js';
import { type ExplainSources, explainFlow } from './explain.js';
import type { Sweeper } from './sweeper.js';

/** Slots looked at in one call: some milliseconds. */
const MAX_SLOTS = 1 << 19;

const stateNames: Readonly<Record<number, SessionState>> = {
  [StateNumber.SESSION_YOUNG]: 'young',
  [StateNumber.SESSION_ESTABLISHED]: 'established',
  [StateNumber.SESSION_CLOSING]: 'closing',
  [StateNumber.SESSION_SOURCE]: 'source',
  [StateNumber.SESSION_SOURCE_YOUNG]: 'source',
};

export interface SessionSources extends ExplainSources {
  readonly controller: Controller;
  readonly table: SessionTable;
  readonly sweeper: Sweeper;
  readonly tickMs: number;
}

/** Two bitmaps by id say in two loads whether a slot is of interest. */
interface Matcher {
  readonly services: Uint8Array;
  readonly backends: Uint8Array;
  readonly states: readonly boolean[];
  readonly keep: (entry: SessionEntry) => boolean;
}

export function createSessionPort(sources: SessionSources): SessionPort {
  const { controller, table } = sources;
  return {
    list(filter, { cursor, limit }) {
      const compiled = controller.compiled;
      if (!compiled) return { sessions: [], nextCursor: null };
      const matcher = matcherOf(filter, compiled);
      const { entries, next } = table.scan(
        cursor,
        (service, backend, state) =>
          matcher.services[service] === 1 && matcher.backends[backend] === 1 && matcher.states[state] === true,
        { limit, maxSlots: MAX_SLOTS, keep: matcher.keep },
      );
      return { sessions: entries.flatMap((entry) => toSession(entry, sources, compiled) ?? []), nextCursor: next };
    },
    explain: (flow) => explainFlow(sources, flow, (entry) => toSession(entry, sources, controller.compiled!)),
    purge: (filter) => purge(sources, filter),
  };
}

function matcherOf(filter: SessionFilter, compiled: Compiled): Matcher {
  const services = new Uint8Array(65536);
  const protocol = filter.protocol && protocolNumber[filter.protocol];
  for (const [id, { listener, loadBalancer, vip }] of compiled.services) {
    const fits =
      (filter.loadBalancer === undefined || filter.loadBalancer === loadBalancer.name) &&
      (filter.listener === undefined || filter.listener === listener.name) &&
      (filter.vip === undefined || filter.vip === vip) &&
      (filter.vipPort === undefined || filter.vipPort === listener.port) &&
      (protocol === undefined || protocol === protocolNumber[listener.protocol]);
    if (fits) services[id] = 1;
  }
  const backends = new Uint8Array(65536);
  const anyBackend = filter.backendGroup === undefined && filter.backend === undefined;
  if (anyBackend) backends.fill(1);
  for (const [id, { group, backend }] of compiled.backends) {
    const fits =
      (filter.backendGroup === undefined || filter.backendGroup === group) &&
      (filter.backend === undefined || filter.backend === backend.name || filter.backend === backend.address);
    if (fits) backends[id] = 1;
  }
  const states: boolean[] = [];
  for (const [state, name] of Object.entries(stateNames)) {
    states[Number(state)] = filter.state === undefined || name === filter.state;
  }
  return { services, backends, states, keep: clientMatcher(filter.client) };
}

function clientMatcher(client: SessionFilter['client']): (entry: SessionEntry) => boolean {
  if (!client) return () => true;
  const family = familyOf(client.address);
  const bits = client.prefixLength + (family === 4 ? 96 : 0);
  const wanted = ipToBytes(client.address);
  return ({ detail }) => {
    if (!detail || familyOf(detail.client) !== family) return false;
    const have = ipToBytes(detail.client);
    const whole = bits >> 3;
    for (let i = 0; i < whole; i++) if (have[i] !== wanted[i]) return false;
    const mask = (0xff00 >> (bits & 7)) & 0xff;
    return whole >= 16 || (have[whole]! & mask) === (wanted[whole]! & mask);
  };
}

function toSession(entry: SessionEntry, { tickMs, controller }: SessionSources, compiled: Compiled): Session | null {
  const service = compiled.services.get(entry.service);
  if (!service || !entry.detail) return null;
  const backend = compiled.backends.get(entry.backend);
  const timeout = controller.applied.services.get(entry.service)?.timeoutTicks[entry.state & 3] ?? 0;
  return {
    protocol: service.listener.protocol,
    client: entry.detail.client,
    clientPort: entry.detail.clientPort,
    vip: service.vip,
    vipPort: service.listener.port,
    loadBalancer: service.loadBalancer.name,
    listener: service.listener.name,
    backendGroup: backend?.group ?? service.pool.group.name,
    backend: backend?.backend.name ?? `removed (${entry.backend})`,
    backendAddress: backend?.backend.address ?? '',
    state: stateNames[entry.state] ?? 'young',
    ageMs: Math.round(entry.detail.ageTicks * tickMs),
    idleMs: Math.round(entry.idleTicks * tickMs),
    expiresInMs: Math.max(0, Math.round((timeout - entry.idleTicks) * tickMs)),
  };
}

async function purge({ controller, table, sweeper }: SessionSources, filter: SessionFilter | null): Promise<number> {
  if (filter === null) {
    const { purged } = await sweeper.sweep({ services: new Uint8Array(8192).fill(0xff) });
    return purged;
  }
  const compiled = controller.compiled;
  if (!compiled) return 0;
  const matcher = matcherOf(filter, compiled);
  let purged = 0;
  for (let cursor: number | null = 0; cursor !== null; ) {
    const page = table.scan(
      cursor,
      (service, backend, state) =>
        matcher.services[service] === 1 && matcher.backends[backend] === 1 && matcher.states[state] === true,
      { limit: 10_000, maxSlots: MAX_SLOTS, keep: matcher.keep },
    );
    for (const entry of page.entries) if (table.clear(entry)) purged++;
    cursor = page.next;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return purged;
}
