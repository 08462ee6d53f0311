import type { Family, Ip } from '../base/ip.js';

/** The desired state after validation: defaults filled in, addresses canonical, references known to resolve. */
export interface Desired {
  readonly loadBalancers: readonly LoadBalancer[];
  readonly backendGroups: readonly BackendGroup[];
  readonly accessLists: readonly AccessList[];
  readonly addressPools: readonly AddressPool[];
}

export interface LoadBalancer {
  readonly name: string;
  /** Given in the document, or from a pool (then `addressRequest` is set, and they are empty until given). */
  readonly addresses: readonly Ip[];
  /** null: the document gives the addresses. */
  readonly addressRequest: AddressRequest | null;
  readonly limits: Limits;
  /** Bytes; 0: SYNs are left alone. */
  readonly maxSegmentSize: number;
  /** Empty: nodes of every zone announce it alike. */
  readonly primaryZone: string;
  /** Empty: none. */
  readonly secondaryZone: string;
  readonly announcement: Announcement;
  readonly listeners: readonly Listener[];
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** When and how its VIPs are announced. */
export interface Announcement {
  readonly minimumHealthyBackends: number;
  readonly keepWhenEmpty: boolean;
  /** null: none of its own. */
  readonly med: number | null;
  readonly prepend: number;
  readonly communities: readonly string[];
}

export const plainAnnouncement: Announcement = {
  minimumHealthyBackends: 1,
  keepWhenEmpty: false,
  med: null,
  prepend: 0,
  communities: [],
};

/** Backends of the node's own zone are preferred. */
export interface Locality {
  readonly minimumHealthyPercent: number;
  readonly otherZonesWeightPercent: number;
}

export type Protocol = 'tcp' | 'udp';
export type Scheduler = 'TCH' | 'SCH' | 'WRR' | 'RR' | 'WLC' | 'QCH';
export type Forwarding = 'L2_DSR' | 'IPIP' | 'GUE';
export type AddressScope = 'PUBLIC' | 'PRIVATE';

export interface AddressPool {
  readonly name: string;
  readonly scope: AddressScope;
  readonly prefixes: readonly Prefix[];
  readonly reserved: readonly Prefix[];
  readonly description: string;
}

export interface AddressRequest {
  /** Empty: by scope. */
  readonly pool: string;
  readonly scope: AddressScope;
  readonly families: readonly Family[];
}

export interface Prefix {
  /** The first address of the prefix, canonical. */
  readonly address: Ip;
  /** 0 to 32 or 128. */
  readonly bits: number;
}

export interface AccessList {
  readonly name: string;
  /** Sorted, without duplicates. */
  readonly entries: readonly Prefix[];
  readonly description: string;
}

/** 0: no limit. */
export interface Limits {
  readonly newSessionsPerSecond: number;
  readonly sessions: number;
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
  readonly newSessionsPerSecondPerSource: number;
}

export const noLimits: Limits = {
  newSessionsPerSecond: 0,
  sessions: 0,
  bitsPerSecond: 0,
  packetsPerSecond: 0,
  newSessionsPerSecondPerSource: 0,
};

export interface AccessControl {
  readonly mode: 'ALLOW' | 'DENY';
  readonly accessList: string;
}

export interface QuicConfig {
  readonly id: number;
  readonly serverIdLength: number;
  readonly nonceLength: number;
  /** 16 bytes; null: plain text. */
  readonly key: Uint8Array | null;
}

export interface Listener {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly backendGroup: string;
  readonly scheduler: Scheduler;
  readonly sessionTimeoutMs: number;
  readonly healthCheck: HealthCheck | null;
  readonly allUnhealthy: 'FAIL_OPEN' | 'FAIL_CLOSED';
  readonly stopped: boolean;
  readonly description: string;
  /** 0: off. */
  readonly sourcePersistenceMs: number;
  readonly accessControl: AccessControl | null;
  readonly limits: Limits;
  /** QCH only; else empty. */
  readonly quic: readonly QuicConfig[];
  /** 0: off. */
  readonly slowStartMs: number;
  /** null: zones make no difference. */
  readonly locality: Locality | null;
}

export interface BackendGroup {
  readonly name: string;
  readonly forwarding: Forwarding;
  readonly backends: readonly Backend[];
  readonly description: string;
  /** Of GUE; 6080 unless set. */
  readonly tunnelPort: number;
  /** Backends map ports themselves. */
  readonly portMapping: boolean;
}

export interface Backend {
  readonly name: string;
  readonly address: Ip;
  readonly family: Family;
  /** 0: the listener's. */
  readonly port: number;
  /** 0 to 100; 0 drains. */
  readonly weight: number;
  readonly zone: string;
  /** Empty: none. */
  readonly quicServerId: Uint8Array;
}

export interface HealthCheck {
  readonly probe: Probe;
  /** 0: the listener's port. */
  readonly port: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
  readonly target: 'VIP' | 'BACKEND_ADDRESS';
}

export type Probe =
  | { readonly kind: 'tcp' }
  | {
      readonly kind: 'http';
      readonly method: 'GET' | 'HEAD';
      readonly path: string;
      /** Empty: the probed address. */
      readonly host: string;
      /** Inclusive ranges of status codes. */
      readonly expectedCodes: readonly (readonly [number, number])[];
      readonly tls: boolean;
    }
  | { readonly kind: 'udp'; readonly request: Uint8Array; readonly expectedReply: Uint8Array };
