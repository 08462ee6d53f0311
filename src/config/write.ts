import { codec } from '../api/codec.js';
import type * as message from '../api/generated/messages.generated.js';
import type { Backend, BackendGroup, Desired, HealthCheck, Listener, LoadBalancer, Probe } from './desired.js';

/** The message that validates to `desired` again, with every default written out. */
export function toConfig(desired: Desired): message.Config {
  return {
    loadBalancers: desired.loadBalancers.map(toLoadBalancer),
    backendGroups: desired.backendGroups.map(toBackendGroup),
    accessLists: [],
    addressPools: [],
  };
}

/** The same as a document: the protobuf JSON mapping. */
export function toDocument(desired: Desired): unknown {
  return codec('spillway.v1.Config').toJson(toConfig(desired));
}

export function toLoadBalancer(from: LoadBalancer): message.LoadBalancer {
  return {
    name: from.name,
    addresses: [...from.addresses],
    listeners: from.listeners.map(toListener),
    description: from.description,
    labels: { ...from.labels },
    addressRequest: null,
    assignedAddresses: [],
    limits: null,
    maxSegmentSize: from.maxSegmentSize,
  };
}

export function toListener(from: Listener): message.Listener {
  return {
    name: from.name,
    protocol: from.protocol === 'tcp' ? 'TCP' : 'UDP',
    port: from.port,
    backendGroup: from.backendGroup,
    scheduler: from.scheduler,
    sessionTimeout: toDuration(from.sessionTimeoutMs),
    healthCheck: from.healthCheck === null ? null : toHealthCheck(from.healthCheck),
    allUnhealthy: from.allUnhealthy,
    stopped: from.stopped,
    description: from.description,
    sourcePersistence: toDuration(from.sourcePersistenceMs),
    accessControl: null,
    limits: null,
    quic: null,
    slowStart: toDuration(from.slowStartMs),
  };
}

export function toBackendGroup(from: BackendGroup): message.BackendGroup {
  return {
    name: from.name,
    forwarding: from.forwarding,
    backends: from.backends.map(toBackend),
    description: from.description,
    tunnelPort: from.tunnelPort,
    portMapping: from.portMapping,
  };
}

export function toBackend(from: Backend): message.Backend {
  return {
    name: from.name,
    address: from.address,
    port: from.port,
    weight: from.weight,
    zone: from.zone,
    quicServerId: from.quicServerId,
  };
}

function toHealthCheck(from: HealthCheck): message.HealthCheck {
  return {
    ...toProbe(from.probe),
    port: from.port,
    interval: toDuration(from.intervalMs),
    timeout: toDuration(from.timeoutMs),
    rise: from.rise,
    fall: from.fall,
    target: from.target,
  };
}

function toProbe(probe: Probe): Pick<message.HealthCheck, 'tcp' | 'http' | 'udp'> {
  switch (probe.kind) {
    case 'tcp':
      return { tcp: {} };
    case 'udp':
      return { udp: { request: probe.request, expectedReply: probe.expectedReply } };
    case 'http': {
      const { method, path, host, expectedCodes, tls } = probe;
      return { http: { method, path, host, tls, expectedCodes: expectedCodes.map(toCodes) } };
    }
  }
}

function toCodes([from, to]: readonly [number, number]): string {
  if (from === to) return String(from);
  return from % 100 === 0 && to === from + 99 ? `${from / 100}xx` : `${from}-${to}`;
}

/** Of milliseconds; what is below zero counts as zero. */
export function toDuration(ms: number): message.Duration {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const nanos = Math.min(Math.round((Math.max(0, ms) - seconds * 1000) * 1e6), 999_999_999);
  return { seconds: BigInt(seconds), nanos };
}

export function toTimestamp(ms: number | null): message.Timestamp | null {
  return ms === null ? null : toDuration(ms);
}
