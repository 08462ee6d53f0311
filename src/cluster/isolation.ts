import type { Peer } from './types.js';

interface Neighbor {
  readonly state: string;
  readonly sinceMs: number | null;
  readonly bfd: string;
}

/** One cut takes peers and routers within so long of each other; without BFD a router is missed after the hold time. */
const TOGETHER_MS = 5000;
const HOLD_MS = 240_000;

/**
 * Is this node cut off from everything? No router hears it, and no other node is heard of those that were: then its
 * sessions grow old, and when it comes back it has to fetch what was made meanwhile before packets come. Either alone is
 * not it: the last node of a cluster has routers, and one without routers goes on hearing of sessions. A peer that took
 * its leave, or was silent long before the routers went, was not cut off with them.
 */
export function isIsolated(neighbors: readonly Neighbor[], peers: readonly Peer[]): boolean {
  const unheard = neighbors.length > 0 && neighbors.every(({ state }) => state !== '' && state !== 'Established');
  if (!unheard || peers.some(({ alive }) => alive)) return false;
  const wentMs = Math.max(...neighbors.map(({ sinceMs, bfd }) => (sinceMs ?? 0) - (bfd === 'off' ? HOLD_MS : 0)));
  return peers.some(({ saidGoodbye, lastHeardMs }) => !saidGoodbye && lastHeardMs >= wentMs - TOGETHER_MS);
}
