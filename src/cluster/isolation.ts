import type { Peer } from './types.js';

interface Neighbor {
  readonly state: string;
}

/**
 * Is this node cut off from everything? No router hears it, and no other node is heard of those that were: then its
 * sessions grow old, and when it comes back it has to fetch what was made meanwhile before packets come. Either alone is
 * not it: the last node of a cluster has routers, and one without routers goes on hearing of sessions.
 */
export function isIsolated(neighbors: readonly Neighbor[], peers: readonly Peer[]): boolean {
  const unheard = neighbors.length > 0 && neighbors.every(({ state }) => state !== '' && state !== 'Established');
  return unheard && peers.length > 0 && peers.every(({ alive }) => !alive);
}
