import type { Announcer } from './types.js';

/** Somebody else routes the VIPs to this node: static routes of the router, say. */
export function noAnnouncer(): Announcer {
  return {
    set: () => Promise.resolve(),
    status: () => ({ kind: 'none', announced: [], neighbors: [], engine: null, problems: [] }),
    onChange: () => () => {},
    close: () => Promise.resolve(),
  };
}
