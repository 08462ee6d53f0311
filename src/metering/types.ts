import type { Ip } from '../base/ip.js';

/** What one LoadBalancer carried in one hour. Several records of one hour add up (of peaks, the highest counts). */
export interface MeteringRecord extends Usage {
  readonly loadBalancer: string;
  /** The hour's begin. */
  readonly hourMs: number;
}

export interface Usage {
  /** From clients, at this node: frames that went on to a backend, as received. */
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  /** From backends to clients, as their programs reported. */
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
  readonly newSessions: bigint;
  readonly peakSessions: number;
  /** That the agent was there and the LoadBalancer configured. */
  readonly meteredMs: number;
}

export const noUsage: Usage = {
  packetsIn: 0n,
  bytesIn: 0n,
  packetsOut: 0n,
  bytesOut: 0n,
  newSessions: 0n,
  peakSessions: 0,
  meteredMs: 0,
};

/** Since the report before. */
export interface VipUsage {
  readonly vip: Ip;
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
}

export interface Report {
  /** The backend host. */
  readonly reporter: string;
  /** Drawn when the reporter started. */
  readonly epoch: string;
  /** Of this epoch, from 1. */
  readonly sequence: bigint;
  readonly usage: readonly VipUsage[];
}

/** What backends reported of one VIP, since it belongs to this LoadBalancer. */
export interface Reported extends Omit<VipUsage, 'vip'> {
  readonly loadBalancer: string;
  readonly vip: Ip;
}

/** What the kernel's counters of one service say. */
export interface Count {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly sessions: bigint;
}

export const noCount: Count = { packets: 0n, bytes: 0n, sessions: 0n };

export const HOUR_MS = 3_600_000;

export function hourOf(ms: number): number {
  return Math.floor(ms / HOUR_MS) * HOUR_MS;
}
