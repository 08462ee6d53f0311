import type { Ip } from '../base/ip.js';

export type Life = 'joining' | 'active' | 'draining' | 'stopped';

/** What one node tells the others of itself, a few times a second. */
export interface NodeReport {
  readonly name: string;
  readonly zone: string;
  readonly life: Life;
  readonly version: string;
  readonly configVersion: bigint;
  /** Digest of the desired state: equal on nodes that want the same. */
  readonly configDigest: bigint;
  /** Digest of the flow key: 0 differs from all; nodes with different keys cannot share sessions. */
  readonly flowKeyDigest: bigint;
  readonly sessions: number;
  /** Number of VIPs announced. */
  readonly announced: number;
  readonly suspect: boolean;
  readonly startedAtMs: number;
}

/** Verdicts of one node: what is in neither list and in its configuration is healthy. */
export interface Verdicts {
  readonly configDigest: bigint;
  /** Ids of compile's agreementId. */
  readonly unhealthy: ReadonlySet<bigint>;
  readonly unknown: ReadonlySet<bigint>;
}

/** A peer as this node sees it. */
export interface Peer extends NodeReport {
  readonly address: string;
  readonly bootId: bigint;
  /** Heard within the last second or so. */
  readonly alive: boolean;
  readonly lastHeardMs: number;
  /** It said that it goes. */
  readonly saidGoodbye?: boolean;
  /** null: not heard yet. */
  readonly verdicts: Verdicts | null;
  readonly sync: PeerSync;
}

/** How the stream from one peer fares. */
export interface PeerSync {
  readonly datagrams: bigint;
  readonly records: bigint;
  /** Sequence numbers missed at first, later got by asking again, and given up (then mended by comparing tables). */
  readonly missed: bigint;
  readonly repaired: bigint;
  readonly givenUp: bigint;
  /** From a record's making to its arrival here, milliseconds, as the clocks of both allow; null: not known. */
  readonly lagMs: number | null;
}

/** Why a VIP is announced or not. */
export interface VipRoute {
  readonly vip: Ip;
  readonly loadBalancer: string;
  readonly announce: boolean;
  readonly preference: 'primary' | 'secondary';
  /** "fewer than 1 healthy backend on each listener"; empty when announced. */
  readonly reason: string;
}
