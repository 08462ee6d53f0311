import type { Ip } from '../base/ip.js';
import type { Life, VipRoute } from '../cluster/types.js';

/** The cluster as this node sees it, and this node's part in it. */
export interface ClusterPort {
  get(): ClusterStatus;
  /** Calls at each change, not for the present state. Returns the unsubscriber. */
  watch(onChange: () => void): () => void;
  /**
   * Withdraws, waits until the traffic has moved, and says how far it is. Ended by the signal it goes on; called again it
   * is watched again.
   * @throws DeadlineError when traffic still comes after `timeoutMs` (null: as configured): the node stays withdrawn.
   */
  drain(options: { readonly timeoutMs: number | null }, signal: AbortSignal): AsyncIterable<DrainProgress>;
  activate(signal: AbortSignal): AsyncIterable<ActivateProgress>;
}

export interface ClusterStatus {
  /** This node first, then its peers by name. */
  readonly nodes: readonly ClusterNode[];
  readonly routes: ClusterRoutes;
  /** null: without sync. By the names of sync/types.ts SyncCounters, and of agent/cluster-status.ts syncCounts. */
  readonly sync: Readonly<Record<string, bigint>> | null;
  /** In words, with the remedy. */
  readonly problems: readonly string[];
}

export interface ClusterNode {
  readonly name: string;
  readonly zone: string;
  readonly life: Life;
  readonly self: boolean;
  readonly alive: boolean;
  /** Empty for this node. */
  readonly address: string;
  readonly version: string;
  readonly configVersion: bigint;
  readonly configDigest: bigint;
  readonly configDiffers: boolean;
  readonly sessions: number;
  readonly announced: number;
  readonly suspect: boolean;
  readonly startedAtMs: number;
  readonly lastHeardMs: number | null;
  /** Of the stream from that node; null: this node, or not known. */
  readonly lagMs: number | null;
  readonly datagrams: bigint;
  readonly missed: bigint;
  readonly repaired: bigint;
  readonly givenUp: bigint;
}

export interface ClusterRoutes {
  readonly kind: 'bird' | 'kernel' | 'none';
  readonly vips: readonly VipRoute[];
  readonly neighbors: readonly ClusterNeighbor[];
}

export interface ClusterNeighbor {
  readonly address: Ip;
  readonly state: string;
  readonly bfd: 'up' | 'down' | 'off' | 'unknown';
  readonly sinceMs: number | null;
  readonly routesExported: number;
}

export interface DrainProgress {
  readonly life: Life;
  readonly announced: number;
  readonly packetsPerSecond: number;
  readonly done: boolean;
  readonly message: string;
}

export interface ActivateProgress {
  readonly life: Life;
  readonly sessions: number;
  readonly sessionsExpected: number;
  readonly announced: number;
  readonly done: boolean;
  readonly message: string;
}

export type { Life, VipRoute };
