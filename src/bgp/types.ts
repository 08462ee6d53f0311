import type { Ip } from '../base/ip.js';

/** One VIP to announce. */
export interface Route {
  readonly vip: Ip;
  /** Of this node's zone for the VIP's LoadBalancer. */
  readonly preference: 'primary' | 'secondary';
  /** Added to what the preference says. */
  readonly med: number | null;
  readonly prepend: number;
  readonly communities: readonly string[];
}

export interface NeighborStatus {
  readonly address: string;
  readonly family: 4 | 6;
  /** "Established", "Active"... as BIRD says it; empty when it is not known. */
  readonly state: string;
  readonly bfd: 'up' | 'down' | 'off' | 'unknown';
  /** Since when it is in this state, wall clock. */
  readonly sinceMs: number | null;
  readonly routesExported: number;
  /** What ended the session last, or keeps it from being made, as BIRD says it; empty: nothing, or not known. */
  readonly error: string;
}

/** The BIRD that announces, or the kernel that holds the routes. */
export interface EngineStatus {
  /** "BIRD 2.0.12"; empty: nobody answered yet. */
  readonly version: string;
  readonly running: boolean;
  /** Since when it runs; null: not known. */
  readonly sinceMs: number | null;
  /** Times that this agent started it. */
  readonly starts: number;
  /** Sets of routes that it took, and those that it or the disk refused. */
  readonly changes: number;
  readonly refusals: number;
  /** How long the last set took from being told to being in force; null: none yet. */
  readonly lastChangeMs: number | null;
  /** Routes that had to be put right though nobody had asked for a change (removed by hand, strays). */
  readonly repairs: number;
}

export interface RoutesStatus {
  /** "bird", "kernel" or "none". */
  readonly kind: 'bird' | 'kernel' | 'none';
  /**
   * In force at the router's side as far as the engine says: taken by it, and told to a neighbor of the family where
   * there are neighbors. After a restart of the agent also those that the agent before it had announced.
   */
  readonly announced: readonly Route[];
  readonly neighbors: readonly NeighborStatus[];
  readonly engine: EngineStatus | null;
  /** What keeps routes from being as they should, in words with the remedy; empty = nothing. */
  readonly problems: readonly string[];
}

/** Keeps the announced routes as they were last told to be, whatever happens to BIRD or the kernel's table. */
export interface Announcer {
  /**
   * Declarative: routes that are not named are withdrawn. Resolves when the engine has taken it; never restarts a BGP
   * session. Until the first call what an agent before this one had announced stays as it is.
   * @throws UnavailableError when it is not in force: why, in words (also among the problems of `status`). It is kept
   * and tried again until it is, or until it is told otherwise.
   */
  set(routes: readonly Route[]): Promise<void>;
  status(): RoutesStatus;
  onChange(listener: () => void): () => void;
  /** `withdraw`: takes the routes away; else they stay as they are, for the next agent. */
  close(options: { readonly withdraw: boolean }): Promise<void>;
}
