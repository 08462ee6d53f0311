import type { NodeReport } from '../cluster/types.js';
import { type Beacon, newestWire, oldestWire } from './wire.js';

/** Why this node does not take that one's records; empty = it does. */
export function refusalOf(peer: Beacon, self: NodeReport): string {
  if (peer.newestWire < oldestWire || peer.oldestWire > newestWire) {
    return (
      `node "${peer.name}" (${peer.version}) speaks versions ${peer.oldestWire} to ${peer.newestWire} of the sync stream, ` +
      `this one ${oldestWire} to ${newestWire}: upgrade one step at a time`
    );
  }
  if (peer.flowKeyDigest !== self.flowKeyDigest) {
    return (
      `node "${peer.name}" marks flows by another key, its sessions are of no use here: ` +
      'give both the same clusterSecretFile, and the one that had another a new session table'
    );
  }
  return '';
}
