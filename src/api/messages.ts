import { toDuration, toTimestamp } from '../config/write.js';
import type { Input } from './codec.js';
import type * as message from './generated/messages.generated.js';
import type * as port from './port.js';

/** From the agent's plain types to messages. */

const protocols = { tcp: 'TCP', udp: 'UDP' } as const;
const healthStates = {
  healthy: 'HEALTHY',
  unhealthy: 'UNHEALTHY',
  unknown: 'UNKNOWN',
  unchecked: 'UNCHECKED',
} as const;
const sessionStates = { young: 'YOUNG', established: 'ESTABLISHED', closing: 'CLOSING', source: 'SOURCE' } as const;

export function toStatus(from: port.Status): Input<message.Status> {
  const { node, reconciliation } = from;
  return {
    node: { ...node, startedAt: toTimestamp(node.startedAtMs) },
    configVersion: from.configVersion,
    configAppliedAt: toTimestamp(from.configAppliedAtMs),
    sessionTable: toSessionTable(from.sessionTable),
    listeners: from.listeners.map(toListenerStatus),
    loadBalancers: from.loadBalancers.map(({ loadBalancer, limit }) => ({ loadBalancer, limit: toLimit(limit) })),
    reasons: from.reasons.map(toReason),
    reconciliation: { ...reconciliation, lastAt: toTimestamp(reconciliation.lastAtMs) },
    problems: from.problems,
  };
}

function toSessionTable({ events, ...from }: port.SessionTableStatus): Input<message.SessionTable> {
  return {
    slots: from.slots,
    young: from.young,
    established: from.established,
    closing: from.closing,
    countedAt: toTimestamp(from.countedAtMs),
    inserted: events.inserted,
    moved: events.moved,
    reusedExpired: events.reused_expired,
    evictedClosing: events.evicted_closing,
    evictedYoung: events.evicted_young,
    evictedOld: events.evicted_old,
    notTracked: events.not_tracked,
    reselected: events.reselected,
  };
}

function toListenerStatus(from: port.ListenerStatus): Input<message.ListenerStatus> {
  return {
    ...from,
    protocol: protocols[from.protocol],
    backends: from.backends.map(toBackendStatus),
    limit: from.limit === null ? null : toLimit(from.limit),
  };
}

function toLimit({ limits, refused, ...from }: port.LimitStatus): Input<message.LimitStatus> {
  return {
    ...from,
    limits,
    refused: {
      accessDenied: refused.access_denied,
      connectionRate: refused.connection_rate,
      sessionLimit: refused.session_limit,
      bandwidthLimit: refused.bandwidth_limit,
      packetLimit: refused.packet_limit,
      sourceRate: refused.source_rate,
    },
  };
}

function toBackendStatus(from: port.BackendStatus): Input<message.BackendStatus> {
  return {
    ...from,
    health: healthStates[from.health],
    agreedHealth: healthStates[from.agreedHealth],
    since: toTimestamp(from.sinceMs),
    lastCheckDuration: from.lastCheckUs === null ? null : toDuration(from.lastCheckUs / 1000),
    history: from.history.map((change) => ({
      at: toTimestamp(change.atMs),
      from: healthStates[change.from],
      to: healthStates[change.to],
      reason: change.reason,
    })),
  };
}

function toReason({ lastSample, ...from }: port.ReasonStatus): Input<message.ReasonCount> {
  return { ...from, lastSample: lastSample === null ? null : { ...lastSample, at: toTimestamp(lastSample.atMs) } };
}

export function toSession(from: port.Session): Input<message.Session> {
  return {
    ...from,
    protocol: protocols[from.protocol],
    state: sessionStates[from.state],
    age: toDuration(from.ageMs),
    idle: toDuration(from.idleMs),
    expiresIn: toDuration(from.expiresInMs),
  };
}

export function toExplanation(from: port.Explanation): Input<message.Explanation> {
  return {
    ...from,
    session: from.session === null ? null : toSession(from.session),
    chosenBy: from.chosenBy ?? '',
    maglevSlot: from.maglevSlot ?? 0,
    forwarding: from.forwarding ?? 'FORWARDING_UNSPECIFIED',
  };
}

const most = 2n ** 64n - 1n;
const uses = { given: 'GIVEN', vip: 'EXPLICIT', backend: 'BACKEND' } as const;

export function toPoolUse(from: port.PoolUse): Input<message.AddressPoolStatus> {
  const bounded = (count: bigint): bigint => (count > most ? most : count);
  return {
    name: from.name,
    scope: from.scope,
    families: from.families.map(({ family, size, given, otherwise, free }) => ({
      family: family === 4 ? 'IPV4' : 'IPV6',
      size: bounded(size),
      given,
      otherwise,
      free: bounded(free),
    })),
    held: from.held.map(({ address, by, how }) => ({ address, holder: by, use: uses[how] })),
  };
}
