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
  readonly sinceMs: number | null;
  readonly routesExported: number;
}

export interface RoutesStatus {
  /** "bird", "kernel" or "none". */
  readonly kind: 'bird' | 'kernel' | 'none';
  /** In force at the router's side as far as the engine says. */
  readonly announced: readonly Route[];
  readonly neighbors: readonly NeighborStatus[];
  /** What keeps routes from being as they should, in words with the remedy; empty = nothing. */
  readonly problems: readonly string[];
}

/** Keeps the announced routes as they were last told to be, whatever happens to BIRD or the kernel's table. */
export interface Announcer {
  /** Declarative: routes that are not named are withdrawn. Resolves when the engine has taken it; never restarts a BGP session. */
  set(routes: readonly Route[]): Promise<void>;
  status(): RoutesStatus;
  onChange(listener: () => void): () => void;
  /** `withdraw`: takes the routes away; else they stay as they are, for the next agent. */
  close(options: { readonly withdraw: boolean }): Promise<void>;
}
