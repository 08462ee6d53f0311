import type { SyncCounts } from '../dataplane/addon.js';
import type { SyncCounters } from './types.js';

const none: SyncCounters = {
  datagramsSent: 0n,
  datagramsReceived: 0n,
  bytesSent: 0n,
  bytesReceived: 0n,
  recordsSent: 0n,
  recordsReceived: 0n,
  recordsApplied: 0n,
  recordsStale: 0n,
  recordsUnknown: 0n,
  recordsNoRoom: 0n,
  droppedMalformed: 0n,
  droppedVersion: 0n,
  droppedUnauthenticated: 0n,
  droppedReplayed: 0n,
  droppedUnadmitted: 0n,
  missed: 0n,
  repaired: 0n,
  givenUp: 0n,
  retransmitted: 0n,
  rateLimited: 0n,
  logOverruns: 0n,
  sendErrors: 0n,
};

/** By the names of the contract; what the engine does not count is 0. */
export function countersOf(counts: SyncCounts): SyncCounters {
  const pairs = Object.keys(none).map((name) => [name, counts[name] ?? 0n]);
  return Object.fromEntries(pairs) as unknown as SyncCounters;
}
