import type { Family, Ip } from '../base/ip.js';

/** The desired state after validation: defaults filled in, addresses canonical, references known to resolve. */
export interface Desired {
  readonly loadBalancers: readonly LoadBalancer[];
  readonly backendGroups: readonly BackendGroup[];
}

export interface LoadBalancer {
  readonly name: string;
  readonly addresses: readonly Ip[];
  readonly listeners: readonly Listener[];
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type Protocol = 'tcp' | 'udp';
export type Scheduler = 'TCH' | 'SCH';
export type Forwarding = 'L2_DSR' | 'IPIP';

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
}

export interface BackendGroup {
  readonly name: string;
  readonly forwarding: Forwarding;
  readonly backends: readonly Backend[];
  readonly description: string;
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
