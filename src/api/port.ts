import type { PoolUse } from '../addresses/use.js';
import type { FieldViolation } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import type { AccessControl, Desired, Forwarding, Limits, Protocol, Scheduler } from '../config/desired.js';
import type { HealthChange } from '../health/types.js';
import type { MeteringRecord, Report, Reported } from '../metering/types.js';
import type { ClusterPort } from './cluster_port.js';

/**
 * What the API needs of the agent; `agent/` implements it. Plain types: no protobuf on this side.
 * Errors are the classes of base/errors.ts.
 */
export interface AgentPort {
  readonly config: ConfigPort;
  readonly status: StatusPort;
  readonly sessions: SessionPort;
  readonly metering: MeteringPort;
  readonly node: NodePort;
  readonly capture: CapturePort;
  readonly cluster: ClusterPort;
}

export interface Versioned {
  readonly desired: Desired;
  /** 0 before the first apply. */
  readonly version: number;
  readonly appliedAtMs: number | null;
}

export interface ConfigPort {
  current(): Versioned;
  /**
   * @throws InvalidError for what only this node can see (capacity by path); ConflictError; CapacityError;
   * UnavailableError when disk or kernel refuse: then the state before stays in force.
   */
  apply(desired: Desired, options: { expectedVersion: number | null; validateOnly: boolean }): Promise<Applied>;
  /** Calls at each change, not for the present state. Returns the unsubscriber. */
  watch(onChange: (now: Versioned) => void): () => void;
}

export interface Applied {
  readonly version: number;
  readonly changed: boolean;
  readonly steps: readonly string[];
}

export interface StatusPort {
  get(options: { summary: boolean }): Status;
  watch(onChange: () => void): () => void;
  /** In the order of the document. */
  addresses(): readonly PoolUse[];
}

export interface MeteringPort {
  /**
   * Whole hours that overlap the time given, by hour, then by LoadBalancer, until they hold `atLeast` records;
   * `nextMs`: the hour to go on with, null at the end.
   */
  list(query: {
    readonly loadBalancer: string | null;
    readonly fromMs: number;
    readonly untilMs: number;
    readonly atLeast: number;
  }): Promise<{ readonly records: readonly MeteringRecord[]; readonly nextMs: number | null }>;
  /**
   * Counted, once, and on disk when it resolves: with the VIPs that no LoadBalancer here has.
   * @throws CapacityError: too many reporters; UnavailableError: the disk refuses, the same report may come again.
   */
  report(report: UsageReport): Promise<readonly Ip[]>;
}

export interface UsageReport extends Report {
  /** For the log. */
  readonly hostname: string;
}

export type { MeteringRecord, PoolUse, Reported as ReportedTraffic };

export interface NodePort {
  version(): VersionInfo;
  reconcile(): Promise<{ repairs: number; steps: readonly string[] }>;
  detach(): Promise<{ interfaces: readonly string[] }>;
}

export interface VersionInfo {
  readonly version: string;
  readonly layoutVersion: number;
  readonly nodeVersion: string;
  readonly kernel: string;
  readonly libbpf: string;
  /** Of the XDP program, which `programs` begins with. */
  readonly programTag: string;
  readonly verifiedInstructions: number;
  readonly programs: readonly ProgramVersion[];
}

/** A BPF program that this node has loaded. */
export interface ProgramVersion {
  readonly name: string;
  /** Digest of its instructions: 16 hexadecimal digits. */
  readonly tag: string;
  /** What the kernel's verifier went through; it gives up at a million. */
  readonly verifiedInstructions: number;
  /** 0 where the kernel interprets. */
  readonly jitedBytes: number;
}

export interface Status {
  readonly node: {
    readonly instance: string;
    readonly hostname: string;
    readonly version: string;
    readonly startedAtMs: number;
    readonly pid: number;
    readonly attachments: readonly AttachmentStatus[];
  };
  readonly configVersion: number;
  readonly configAppliedAtMs: number | null;
  readonly sessionTable: SessionTableStatus;
  readonly listeners: readonly ListenerStatus[];
  /** Those that have limits of their own. */
  readonly loadBalancers: readonly LoadBalancerStatus[];
  readonly reasons: readonly ReasonStatus[];
  readonly reconciliation: {
    readonly lastAtMs: number | null;
    readonly runs: number;
    readonly repairs: number;
    readonly failures: number;
    readonly lastError: string;
  };
  readonly problems: readonly string[];
}

export interface LoadBalancerStatus {
  readonly loadBalancer: string;
  readonly limit: LimitStatus;
}

export interface LimitStatus {
  readonly limits: Limits;
  readonly sessions: number;
  readonly newSessionsPerSecond: number;
  readonly bitsPerSecond: number;
  readonly packetsPerSecond: number;
  readonly refused: Refused;
}

/** In the order of their reasons; the words are those of ReasonStatus. */
export const refusalReasons = [
  'access_denied',
  'connection_rate',
  'session_limit',
  'bandwidth_limit',
  'packet_limit',
  'source_rate',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];
export type Refused = Readonly<Record<RefusalReason, bigint>>;

export interface AttachmentStatus {
  readonly interface: string;
  readonly mode: 'native' | 'generic';
  readonly attached: boolean;
  readonly mac: string;
  readonly mtu: number;
  readonly fallbackReason: string;
  /** Interfaces of the configuration that it stands for. */
  readonly serves: readonly string[];
}

export interface SessionTableStatus {
  readonly slots: number;
  readonly young: number;
  readonly established: number;
  readonly closing: number;
  readonly countedAtMs: number | null;
  /** By the word of enum table_event: inserted, moved, evicted_young... since the maps were made. */
  readonly events: Readonly<Record<TableEvent, bigint>>;
}

export const tableEvents = [
  'inserted',
  'moved',
  'reused_expired',
  'evicted_closing',
  'evicted_young',
  'evicted_old',
  'not_tracked',
  'reselected',
] as const;
export type TableEvent = (typeof tableEvents)[number];

export interface TrafficStatus {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly newSessions: bigint;
  readonly packetsWithoutSession: bigint;
  readonly activeSessions: number;
}

export interface ListenerStatus {
  readonly loadBalancer: string;
  readonly listener: string;
  readonly addresses: readonly Ip[];
  readonly protocol: Protocol;
  readonly port: number;
  readonly backendGroup: string;
  readonly forwarding: Forwarding;
  readonly scheduler: Scheduler;
  readonly stopped: boolean;
  readonly traffic: TrafficStatus;
  /** Empty with `summary`. */
  readonly backends: readonly BackendStatus[];
  readonly backendsTotal: number;
  readonly backendsHealthy: number;
  readonly failingOpen: boolean;
  readonly accessControl: AccessControl | null;
  /** null where there is neither a limit nor an access list. */
  readonly limit: LimitStatus | null;
}

export interface BackendStatus {
  readonly name: string;
  readonly address: Ip;
  readonly weight: number;
  /** Less than `weight` while slow start lasts. */
  readonly effectiveWeight: number;
  readonly zone: string;
  readonly health: 'healthy' | 'unhealthy' | 'unknown' | 'unchecked';
  /** What counts. */
  readonly agreedHealth: BackendStatus['health'];
  readonly up: boolean;
  readonly draining: boolean;
  readonly nextHopMac: string;
  /** Empty while it is not known. */
  readonly egressInterface: string;
  /** 0: no tag. */
  readonly egressVlan: number;
  readonly reason: string;
  readonly sinceMs: number | null;
  readonly lastCheckUs: number | null;
  readonly traffic: TrafficStatus;
  readonly history: readonly HealthChange[];
}

export interface ReasonStatus {
  readonly reason: string;
  readonly drop: boolean;
  readonly packets: bigint;
  readonly help: string;
  readonly lastSample: DropSample | null;
}

export interface DropSample {
  readonly atMs: number;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ipProtocol: number;
  readonly length: number;
  /** The first bytes of the frame. */
  readonly frame: Uint8Array;
}

export type SessionState = 'young' | 'established' | 'closing' | 'source';

export interface SessionFilter {
  readonly loadBalancer?: string;
  readonly listener?: string;
  readonly backendGroup?: string;
  readonly backend?: string;
  /** Canonical address and prefix length. */
  readonly client?: { readonly address: Ip; readonly prefixLength: number };
  readonly vip?: Ip;
  readonly vipPort?: number;
  readonly protocol?: Protocol;
  readonly state?: SessionState;
}

export interface Session {
  readonly protocol: Protocol;
  readonly client: Ip;
  readonly clientPort: number;
  readonly vip: Ip;
  readonly vipPort: number;
  readonly loadBalancer: string;
  readonly listener: string;
  readonly backendGroup: string;
  readonly backend: string;
  readonly backendAddress: Ip;
  readonly state: SessionState;
  readonly ageMs: number;
  readonly idleMs: number;
  readonly expiresInMs: number;
}

export interface SessionPort {
  /** `cursor` 0 starts; nextCursor null ends. Stops early (before `limit` hits) rather than block the loop for long. */
  list(
    filter: SessionFilter,
    options: { cursor: number; limit: number },
  ): { sessions: Session[]; nextCursor: number | null };
  explain(flow: Flow): Explanation;
  /** All of them with `filter` null. */
  purge(filter: SessionFilter | null): Promise<number>;
}

export interface Flow {
  readonly protocol: Protocol;
  readonly client: Ip;
  readonly clientPort: number;
  readonly vip: Ip;
  readonly vipPort: number;
  /** What if: a TCP SYN; else a packet in the middle of a connection. */
  readonly syn: boolean;
  /** What if: as though there were no session. */
  readonly ignoreSession: boolean;
  /** What if: of a QUIC packet, with the scheduler QCH. Empty: it has none that can be read. */
  readonly quicConnectionId: Uint8Array;
}

export interface Explanation {
  readonly verdict: 'forward' | 'drop' | 'pass';
  readonly reason: string;
  readonly steps: readonly string[];
  readonly session: Session | null;
  readonly chosenBy: 'session' | 'persistence' | 'maglev' | 'turn' | 'least_sessions' | 'quic' | null;
  readonly maglevSlot: number | null;
  readonly loadBalancer: string;
  readonly listener: string;
  readonly backendGroup: string;
  readonly backend: string;
  readonly backendAddress: string;
  readonly nextHopMac: string;
  /** Empty while it is not known. */
  readonly egressInterface: string;
  /** 0: no tag. */
  readonly egressVlan: number;
  readonly forwarding: Forwarding | null;
}

export interface CapturePort {
  /**
   * Captures until the signal, `count` or `durationMs`. The first batch names the interfaces.
   * @throws PreconditionError while another capture runs; InvalidError for an unknown reason.
   */
  capture(options: CaptureOptions, signal: AbortSignal): AsyncIterable<CaptureBatch>;
}

/** What is set must match. */
export interface CaptureFilter {
  readonly client?: { readonly address: Ip; readonly prefixLength: number };
  readonly clientPort?: number;
  readonly vip?: Ip;
  readonly vipPort?: number;
  readonly protocol?: Protocol;
  readonly reason?: string;
  readonly dropsOnly: boolean;
}

export interface CaptureOptions {
  readonly filter: CaptureFilter;
  /** null: no end. */
  readonly count: number | null;
  readonly durationMs: number | null;
  /** Bytes of each packet. */
  readonly snapLength: number;
  /** Packets a second and CPU. */
  readonly rate: number;
}

export interface CaptureBatch {
  readonly packets: readonly CapturedPacket[];
  /** Matched, but not handed over, since the batch before. */
  readonly suppressed: number;
  readonly interfaces: readonly { readonly index: number; readonly name: string }[];
}

export interface CapturedPacket {
  /** Since 1970. */
  readonly atNs: bigint;
  readonly interfaceIndex: number;
  /** Its first bytes. */
  readonly data: Uint8Array;
  readonly originalLength: number;
  readonly verdict: 'forward' | 'drop' | 'pass' | 'answer';
  /** Empty when it went to a backend. */
  readonly reason: string;
  readonly loadBalancer: string;
  readonly listener: string;
  readonly backend: string;
}

export type { ClusterPort, FieldViolation };
