import type { AgreementConfig } from '../config/cluster.js';
import type { HealthState } from '../health/types.js';

/** What the nodes say of one check, and what follows. */
export interface Standing {
  /** unknown: nobody has an opinion. */
  readonly state: HealthState;
  /** Nodes that say so, this one included. */
  readonly healthy: number;
  readonly unhealthy: number;
}

/** A node with a vote: one that is heard. */
export interface Voter {
  readonly unhealthy: ReadonlySet<bigint>;
  readonly unknown: ReadonlySet<bigint>;
  /** Does it want this check, too? What it does not name it then sees healthy; else it may not have it. */
  readonly has: (id: bigint) => boolean;
}

/** This node's own verdict, and its peers. */
export interface Opinions {
  readonly own: HealthState;
  readonly peers: readonly Voter[];
}

/**
 * Down is what a quorum of those who have an opinion says is unhealthy: more than half of them, or so many (all, where
 * fewer have one). With a quorum of 1 this node's word counts, and that of the others while it has none.
 */
export function standingOf(id: bigint, { own, peers }: Opinions, quorum: AgreementConfig['quorum']): Standing {
  let healthy = own === 'healthy' ? 1 : 0;
  let unhealthy = own === 'unhealthy' ? 1 : 0;
  for (const peer of peers) {
    const opinion = opinionOf(peer, id);
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

function opinionOf({ unhealthy, unknown, has }: Voter, id: bigint): HealthState {
  if (unhealthy.has(id)) return 'unhealthy';
  return !unknown.has(id) && has(id) ? 'healthy' : 'unknown';
}

/**
 * Does this node alone see more than `percent` of the checks fail that pass for the others? Those that any other sees
 * fail, or of which no other has an opinion, do not count. Costs what this node sees fail, not the number of checks:
 * counting ends where the rest can change nothing.
 */
export function isSuspect(
  unhealthy: ReadonlySet<bigint>,
  { checked, peers, percent }: { checked: Checked; peers: readonly Voter[]; percent: number },
): boolean {
  if (unhealthy.size === 0 || peers.length === 0) return false;
  let alone = 0;
  for (const id of unhealthy) if (checked.has(id) && passesElsewhere(id, peers)) alone++;
  if (alone === 0 || alone * 100 > percent * checked.size) return alone > 0;
  let all = 0;
  for (const id of checked.keys()) {
    if (passesElsewhere(id, peers)) all++;
    if (percent * all >= alone * 100) return false;
  }
  return true;
}

/** A set of ids, or a map by them. */
type Checked = Pick<ReadonlySet<bigint>, 'has' | 'keys' | 'size'>;

function passesElsewhere(id: bigint, peers: readonly Voter[]): boolean {
  let passes = false;
  for (const peer of peers) {
    const opinion = opinionOf(peer, id);
    if (opinion === 'unhealthy') return false;
    passes ||= opinion === 'healthy';
  }
  return passes;
}
