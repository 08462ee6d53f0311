import type { Ip } from '../base/ip.js';
import type { HealthCheck } from '../config/desired.js';

export type HealthState = 'healthy' | 'unhealthy' | 'unknown';

/** One thing to probe: a backend as one pool sees it. */
export interface CheckTarget {
  /** Stable over restarts: pool identity and backend name. The same key with another spec keeps its state. */
  readonly key: string;
  /** With the port and interval resolved. */
  readonly check: HealthCheck;
  /** Where the probe connects to: a VIP, or the backend's own address. */
  readonly address: Ip;
  readonly port: number;
  /** SO_MARK that sends a probe to a VIP through this backend's forwarding; 0 = plain routing. */
  readonly mark: number;
}

export interface HealthChange {
  readonly key: string;
  readonly atMs: number;
  readonly from: HealthState;
  readonly to: HealthState;
  /** "connect: ECONNREFUSED", "HTTP 503, expected 2xx", "3 checks passed". */
  readonly reason: string;
}

export interface HealthRecord {
  readonly key: string;
  readonly state: HealthState;
  readonly sinceMs: number;
  readonly reason: string;
  readonly lastCheckUs: number | null;
  /** Latest first, at most 16. */
  readonly history: readonly HealthChange[];
}
