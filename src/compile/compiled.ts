import type { Backend as BackendRow } from '../abi/abi.generated.js';
import type { Ip } from '../base/ip.js';
import type { Backend, BackendGroup, Listener, LoadBalancer } from '../config/desired.js';
import type { CheckTarget, HealthState } from '../health/types.js';
import type { NextHop, WayOut } from '../netlink/types.js';
import type { CompiledLimit } from './limits.js';
import type { Preference } from './locality.js';
import type { PooledRows } from './pooled.js';
import type { Tables } from './tables.js';

/** What is seen of the world: an input of compile, never a patch to the maps. */
export interface Observed {
  /** What counts, by CheckTarget.key; absent = unknown. */
  readonly health: ReadonlyMap<string, HealthState>;
  /** What this node's own checks say, where that may be something else; it is remembered over restarts. */
  readonly ownHealth?: ReadonlyMap<string, HealthState>;
  readonly nextHops: ReadonlyMap<Ip, NextHop>;
  /** When a backend was last seen to become healthy after it was unhealthy, by CheckTarget.key; for slow start. */
  readonly recoveredAtMs?: ReadonlyMap<string, number>;
  /** On the same clock. */
  readonly nowMs?: number;
  /** By device. */
  readonly waysOut: ReadonlyMap<string, WayOut>;
}

/** What changed in Observed since the last compile: pools that none of it touches are taken over as they are. */
export interface Dirty {
  readonly healthKeys: ReadonlySet<string>;
  readonly addresses: ReadonlySet<Ip>;
  readonly waysOut?: boolean;
}

export interface CompileOptions {
  /** Length of a data-path tick. */
  readonly tickMs: number;
  /** Of the node, for listeners with a locality; empty: none. */
  readonly zone?: string;
}

/** Everything that follows from desired and observed: the tables, and who is behind each number. */
export interface Compiled {
  readonly tables: Tables;
  readonly pools: readonly CompiledPool[];
  readonly services: ReadonlyMap<number, CompiledService>;
  readonly backends: PooledRows<CompiledBackend>;
  readonly limits: ReadonlyMap<number, CompiledLimit>;
  /** Services whose sessions must go: stopped listeners. */
  readonly stoppedServices: ReadonlySet<number>;
}

export interface CompiledService {
  readonly id: number;
  readonly vip: Ip;
  readonly loadBalancer: LoadBalancer;
  readonly listener: Listener;
  readonly pool: CompiledPool;
  /** Number of its QUIC configurations; 0: none. */
  readonly quic: number;
}

/** A backend group as the listeners see it that share its health check. */
export interface CompiledPool {
  readonly id: number;
  readonly key: string;
  readonly group: BackendGroup;
  readonly backends: readonly CompiledBackend[];
  readonly byId: ReadonlyMap<number, CompiledBackend>;
  readonly checks: readonly CheckTarget[];
  readonly row: Tables['pools'] extends ReadonlyMap<number, infer Row> ? Row : never;
  readonly failingOpen: boolean;
  readonly healthyCount: number;
  /** When its weights change next by time alone, on the clock of Observed.nowMs; null: never. */
  readonly nextChangeMs: number | null;
  /** Of the node that it was compiled for. */
  readonly zone: string;
  /** How that zone is preferred; null: not at all. */
  readonly preference: Preference | null;
  /** Devices that its backends are steered out of. */
  readonly devices: readonly string[];
}

export interface CompiledBackend {
  readonly id: number;
  readonly pool: number;
  readonly group: string;
  readonly backend: Backend;
  /** Key of its health record. */
  readonly checkKey: string;
  /** What counts: with other nodes, what they agree on. */
  readonly health: HealthState | 'unchecked';
  /** What this node's checks say. */
  readonly ownHealth: HealthState | 'unchecked';
  readonly up: boolean;
  /** Less than its own during slow start, and in another zone than the preferred one. */
  readonly effectiveWeight: number;
  /** Why it is not up, for what the health record does not say; empty otherwise. */
  readonly problem: string;
  readonly nextHopMac: string;
  /** What its packets leave by; empty while that is not known. */
  readonly device: string;
  /** 0: none. */
  readonly vlan: number;
  readonly row: BackendRow;
}
