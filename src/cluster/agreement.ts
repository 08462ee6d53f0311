import type { AgreementConfig } from '../config/cluster.js';
import type { HealthState } from '../health/types.js';
import type { Verdicts } from './types.js';

/** What the nodes say of one check, and what follows. */
export interface Standing {
  /** unknown: nobody has an opinion. */
  readonly state: HealthState;
  /** Nodes that say so, this one included. */
  readonly healthy: number;
  readonly unhealthy: number;
}

/** This node's own verdict, and the verdicts of those peers that are heard: a silent one has no vote. */
export interface Opinions {
  readonly own: HealthState;
  /** Of the desired state that this node's verdicts are of. */
  readonly configDigest: bigint;
  readonly peers: readonly Verdicts[];
}

/**
 * Down is what a quorum of those who have an opinion says is unhealthy: more than half of them, or so many (all, where
 * fewer have one). With a quorum of 1 this node's word counts, and that of the others while it has none.
 */
export function standingOf(
  id: bigint,
  { own, configDigest, peers }: Opinions,
  quorum: AgreementConfig['quorum'],
): Standing {
  let healthy = own === 'healthy' ? 1 : 0;
  let unhealthy = own === 'unhealthy' ? 1 : 0;
  for (const peer of peers) {
    const opinion = opinionOf(peer, id, configDigest);
    if (opinion === 'healthy') healthy++;
    else if (opinion === 'unhealthy') unhealthy++;
  }
  const opinions = healthy + unhealthy;
  if (opinions === 0) return { state: 'unknown', healthy, unhealthy };
  if (quorum === 1 && own !== 'unknown') return { state: own, healthy, unhealthy };
  const down =
    quorum === 'majority' || quorum === 1 ? 2 * unhealthy > opinions : unhealthy >= Math.min(quorum, opinions);
  return { state: down ? 'unhealthy' : 'healthy', healthy, unhealthy };
}

/** What a node that wants something else does not name, it may not have. */
function opinionOf({ configDigest, unhealthy, unknown }: Verdicts, id: bigint, digest: bigint): HealthState {
  if (unhealthy.has(id)) return 'unhealthy';
  return configDigest === digest && !unknown.has(id) ? 'healthy' : 'unknown';
}

/**
 * Does this node alone see more than `percent` of the checks fail that pass for the others? Those that any other sees
 * fail, or of which no other has an opinion, do not count.
 */
export function isSuspect(
  own: Verdicts,
  { checked, peers, percent }: { checked: ReadonlySet<bigint>; peers: readonly Verdicts[]; percent: number },
): boolean {
  const same = peers.filter(({ configDigest }) => configDigest === own.configDigest);
  if (same.length === 0) return false;
  const passes = (id: bigint): boolean =>
    !peers.some(({ unhealthy }) => unhealthy.has(id)) && same.some(({ unknown }) => !unknown.has(id));
  const fails = new Set<bigint>();
  for (const { unhealthy, unknown } of peers) {
    for (const ids of [unhealthy, unknown]) {
      for (const id of ids) if (checked.has(id) && !passes(id)) fails.add(id);
    }
  }
  let alone = 0;
  for (const id of own.unhealthy) if (checked.has(id) && passes(id)) alone++;
  return alone * 100 > percent * (checked.size - fails.size);
}
