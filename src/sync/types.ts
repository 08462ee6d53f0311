import type { NodeReport, Peer, Verdicts } from '../cluster/types.js';

/** Numbers of this node and what they are called on every node: index = local number, 0 = unknown. */
export interface Dictionary {
  /** 32-bit digests of (protocol, VIP, port). */
  readonly serviceWire: Uint32Array;
  readonly servicePool: Uint16Array;
  /** Of IP: 6, 17. */
  readonly serviceProtocol: Uint8Array;
  /** 32-bit digests of (group, backend's name, address): unique within a pool. */
  readonly backendWire: Uint32Array;
  readonly backendPool: Uint16Array;
  /** Ticks by [service * 4 + (state & 3)], as the sweep has them. */
  readonly timeouts: Uint16Array;
}

export interface JoinResult {
  /** null: there was no peer, or none that answered in time. */
  readonly from: string | null;
  readonly sessions: number;
  readonly durationMs: number;
  /** Ranges whose checksum differed at first and were fetched again. */
  readonly mendedRanges: number;
  /** Why it went on without, or with less: empty = complete. */
  readonly reason: string;
}

export interface JoinProgress {
  readonly from: string;
  readonly sessions: number;
  readonly expected: number;
}

/** Everything that is dropped has a name here. */
export interface SyncCounters {
  readonly datagramsSent: bigint;
  readonly datagramsReceived: bigint;
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  readonly recordsSent: bigint;
  readonly recordsReceived: bigint;
  readonly recordsApplied: bigint;
  readonly recordsStale: bigint;
  /** Named a listener or backend that this node does not have (yet). */
  readonly recordsUnknown: bigint;
  readonly recordsNoRoom: bigint;
  readonly droppedMalformed: bigint;
  readonly droppedVersion: bigint;
  readonly droppedUnauthenticated: bigint;
  readonly droppedReplayed: bigint;
  /** A node or boot that has not proved that it is there now. */
  readonly droppedUnadmitted: bigint;
  readonly missed: bigint;
  readonly repaired: bigint;
  readonly givenUp: bigint;
  readonly retransmitted: bigint;
  /** Announcements left out because of recordsPerSecond; mended by comparing tables. */
  readonly rateLimited: bigint;
  /** Entries of the data path's log that were overwritten before they were read. */
  readonly logOverruns: bigint;
  /** Datagrams that the kernel did not take, whatever its reason. */
  readonly sendErrors: bigint;
}

/** Of comparing tables with peers. */
export interface RepairCounters {
  readonly compared: number;
  /** Ranges, of 4,096, that differed for good. */
  readonly differing: number;
  /** Sessions fetched for it, and those of them that changed this node's table. */
  readonly fetched: number;
  readonly applied: number;
  /** Comparisons that a peer refused or that broke. */
  readonly failed: number;
}

/** The cluster as one node takes part in it. Constructed by openSync (open.ts). */
export interface ClusterSync {
  readonly counters: () => SyncCounters;
  readonly repairs: () => RepairCounters;
  /** What beacons say from now on. */
  setReport(report: Omit<NodeReport, 'name' | 'zone' | 'startedAtMs'>): void;
  setVerdicts(verdicts: Verdicts): void;
  setDictionary(dictionary: Dictionary): void;
  /** The whole table from the best peer; resolves after `joinTimeoutMs` at the latest, and never throws for want of peers. */
  join(options: { onProgress: (progress: JoinProgress) => void }): Promise<JoinResult>;
  peers(): readonly Peer[];
  onPeers(listener: () => void): () => void;
  /** Sessions that this node purges are purged on its peers, too. */
  purgeOnPeers(
    filter: Uint8Array,
  ): Promise<readonly { readonly peer: string; readonly purged: number; readonly error: string }[]>;
  /** No comparison with a peer is under way meanwhile: what is removed would come back by it. */
  withoutRepair<T>(work: () => Promise<T>): Promise<T>;
  /** Empty = nothing. */
  problems(): readonly string[];
  /** TCP port of the transfer, for a configured 0. */
  readonly transferPort: number;
  /** Says goodbye, so that peers need not wait for silence. */
  close(): Promise<void>;
}
