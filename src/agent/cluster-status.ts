import type { ClusterStatus, ClusterNode as Shown } from '../api/cluster_port.js';
import type { RoutesStatus } from '../bgp/types.js';
import type { NodeReport, Peer, VipRoute } from '../cluster/types.js';
import type { ClusterSync } from '../sync/types.js';

export interface ClusterView {
  readonly self: NodeReport;
  readonly peers: readonly Peer[];
  readonly vips: readonly VipRoute[];
  readonly routes: RoutesStatus;
  readonly sync: ClusterStatus['sync'];
  readonly problems: readonly string[];
}

export function clusterStatus({ self, peers, vips, routes, sync, problems }: ClusterView): ClusterStatus {
  const others = [...peers].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    nodes: [selfShown(self), ...others.map((peer) => peerShown(peer, self))],
    routes: { kind: routes.kind, vips: vips.map((vip) => shown(vip, routes)), neighbors: routes.neighbors },
    sync,
    problems,
  };
}

/** Of the stream, and of comparing tables with peers. */
export function syncCounts(sync: Pick<ClusterSync, 'counters' | 'repairs'>): NonNullable<ClusterStatus['sync']> {
  const { compared, failed, differing, fetched, applied } = sync.repairs();
  return {
    ...sync.counters(),
    tablesCompared: BigInt(compared),
    comparisonsFailed: BigInt(failed),
    rangesDiffering: BigInt(differing),
    sessionsFetched: BigInt(fetched),
    sessionsMended: BigInt(applied),
  };
}

const noStream = { lagMs: null, datagrams: 0n, missed: 0n, repaired: 0n, givenUp: 0n };

function selfShown(self: NodeReport): Shown {
  return { ...self, self: true, alive: true, address: '', configDiffers: false, lastHeardMs: null, ...noStream };
}

function peerShown(peer: Peer, self: NodeReport): Shown {
  const { bootId: _, verdicts: __, flowKeyDigest: ___, sync, ...report } = peer;
  const { lagMs, datagrams, missed, repaired, givenUp } = sync;
  return {
    ...report,
    self: false,
    configDiffers: peer.configDigest !== self.configDigest,
    lagMs,
    datagrams,
    missed,
    repaired,
    givenUp,
  };
}

/** What is, not what is meant: a route that the engine has not taken is not announced. */
function shown(vip: VipRoute, { kind, announced, problems }: RoutesStatus): VipRoute {
  if (kind === 'none') {
    const reason = 'this node announces nothing itself (routes is not configured)';
    return { ...vip, announce: false, reason: vip.announce ? reason : vip.reason };
  }
  const is = announced.some((route) => route.vip === vip.vip);
  if (is === vip.announce) return vip;
  if (is) return { ...vip, announce: true, reason: `is being withdrawn: ${vip.reason}` };
  return { ...vip, announce: false, reason: problems[0] ?? 'is being announced' };
}

/** What of the peers an operator should know. */
export function peerProblems(self: NodeReport, peers: readonly Peer[]): string[] {
  const problems: string[] = [];
  for (const peer of peers) {
    if (!peer.alive) {
      problems.push(`${peer.name} is silent: its agent or its network is down, and the others serve its sessions`);
      continue;
    }
    if (peer.configDigest !== self.configDigest) {
      problems.push(
        `${peer.name} wants another state (version ${peer.configVersion}, here ${self.configVersion}): apply the same document to both`,
      );
    }
  }
  return problems;
}
