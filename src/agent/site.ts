import type { NextHopTracker } from '../netlink/tracker.js';
import type { Port } from '../netlink/types.js';

/** Where the program belongs, as the links are now. */
export interface Site {
  readonly ports: readonly Port[];
  /** Own addresses. */
  readonly macs: readonly string[];
  /** Interfaces of the configuration whose ports are not known. */
  readonly missing: readonly string[];
}

export function siteOf(tracker: Pick<NextHopTracker, 'ports' | 'macs' | 'missing'>): Site {
  return { ports: tracker.ports(), macs: tracker.macs(), missing: tracker.missing() };
}
