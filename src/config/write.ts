import { isDeepStrictEqual } from 'node:util';
import { codec } from '../api/codec.js';
import type * as message from '../api/generated/messages.generated.js';
import {
  type AccessList,
  type AddressPool,
  type AddressRequest,
  type Announcement,
  type Backend,
  type BackendGroup,
  type Desired,
  type HealthCheck,
  type Limits,
  type Listener,
  type LoadBalancer,
  noLimits,
  type Probe,
  type QuicConfig,
} from './desired.js';
import { formatPrefix } from './prefix.js';

/** The message that validates to `desired` again, with every default written out. */
export function toConfig(desired: Desired): message.Config {
  return {
    loadBalancers: desired.loadBalancers.map(toLoadBalancer),
    backendGroups: desired.backendGroups.map(toBackendGroup),
    accessLists: desired.accessLists.map(toAccessList),
    addressPools: desired.addressPools.map(toAddressPool),
  };
}

/** The same as a document: the protobuf JSON mapping. */
export function toDocument(desired: Desired): unknown {
  return codec('spillway.v1.Config').toJson(toConfig(desired));
}

export function toLoadBalancer(from: LoadBalancer): message.LoadBalancer {
  return {
    name: from.name,
    addresses: from.addressRequest === null ? [...from.addresses] : [],
    listeners: from.listeners.map(toListener),
    description: from.description,
    labels: { ...from.labels },
    addressRequest: from.addressRequest === null ? null : toAddressRequest(from.addressRequest),
    assignedAddresses: from.addressRequest === null ? [] : [...from.addresses],
    limits: toLimits(from.limits),
    maxSegmentSize: from.maxSegmentSize,
    primaryZone: from.primaryZone,
    secondaryZone: from.secondaryZone,
    announcement: toAnnouncement(from.announcement),
  };
}

function toAnnouncement({ med, ...rest }: Announcement): message.Announcement {
  return { ...rest, communities: [...rest.communities], ...(med === null ? {} : { med }) };
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
    accessControl: from.accessControl === null ? null : { ...from.accessControl },
    limits: toLimits(from.limits),
    quic: from.scheduler === 'QCH' ? { configs: from.quic.map(toQuicConfig) } : null,
    slowStart: toDuration(from.slowStartMs),
    locality: from.locality === null ? null : { preferOwnZone: true, ...from.locality },
  };
}

export function toBackendGroup(from: BackendGroup): message.BackendGroup {
  return {
    name: from.name,
    forwarding: from.forwarding,
    backends: from.backends.map(toBackend),
    description: from.description,
    tunnelPort: from.forwarding === 'GUE' ? from.tunnelPort : 0,
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

export function toAccessList(from: AccessList): message.AccessList {
  return { name: from.name, entries: from.entries.map(formatPrefix), description: from.description };
}

export function toAddressPool(from: AddressPool): message.AddressPool {
  return {
    name: from.name,
    scope: from.scope,
    prefixes: from.prefixes.map(formatPrefix),
    reserved: from.reserved.map(formatPrefix),
    description: from.description,
  };
}

function toAddressRequest({ pool, scope, families }: AddressRequest): message.AddressRequest {
  return {
    pool,
    scope: pool === '' ? scope : 'ADDRESS_SCOPE_UNSPECIFIED',
    families: families.map((family) => (family === 4 ? 'IPV4' : 'IPV6')),
  };
}

/** No limit at all is left out: documents are for people to read too. */
function toLimits(from: Limits): message.Limits | null {
  if (isDeepStrictEqual(from, noLimits)) return null;
  const { bitsPerSecond, packetsPerSecond } = from;
  return { ...from, bitsPerSecond: BigInt(bitsPerSecond), packetsPerSecond: BigInt(packetsPerSecond) };
}

function toQuicConfig({ key, ...lengths }: QuicConfig): message.QuicConfig {
  return { ...lengths, key: key ?? new Uint8Array() };
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
