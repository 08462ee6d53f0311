import type { ClusterNeighbor, ClusterNode, ClusterStatus, Life, VipRoute } from '../api/cluster_port.js';
import { type Family, seconds } from './families.js';
import { block, type Sample } from './text.js';

const lives: readonly Life[] = ['joining', 'active', 'draining', 'stopped'];
const flag = (on: boolean): number => (on ? 1 : 0);

/** Labels: node. Of this node and of each that it knows, as they say of themselves. */
const nodeFamilies: readonly Family<ClusterNode>[] = [
  {
    name: 'spillway_cluster_node_alive',
    type: 'gauge',
    help: '1: this node, or one that is heard.',
    value: ({ alive }) => flag(alive),
  },
  {
    name: 'spillway_cluster_node_sessions',
    type: 'gauge',
    help: 'Sessions in the table of the node.',
    value: ({ sessions }) => sessions,
  },
  {
    name: 'spillway_cluster_node_announced_vips',
    type: 'gauge',
    help: 'VIPs that the node announces.',
    value: ({ announced }) => announced,
  },
  {
    name: 'spillway_cluster_node_suspect',
    type: 'gauge',
    help: '1: sees many backends down that the others see healthy.',
    value: ({ suspect }) => flag(suspect),
  },
  {
    name: 'spillway_cluster_node_config_version',
    type: 'gauge',
    help: 'Version of the desired state in force on the node.',
    value: ({ configVersion }) => configVersion,
  },
  {
    name: 'spillway_cluster_node_config_differs',
    type: 'gauge',
    help: '1: wants another state than this node.',
    value: ({ configDiffers }) => flag(configDiffers),
  },
  {
    name: 'spillway_cluster_node_start_timestamp_seconds',
    type: 'gauge',
    help: 'When the agent of the node was started.',
    value: ({ startedAtMs }) => (startedAtMs > 0 ? seconds(startedAtMs) : null),
  },
];

/** Labels: node. Of the other nodes: how their stream of sessions fares here. */
const peerFamilies: readonly Family<ClusterNode>[] = [
  {
    name: 'spillway_sync_peer_last_heard_timestamp_seconds',
    type: 'gauge',
    help: 'When the peer was last heard.',
    value: ({ lastHeardMs }) => seconds(lastHeardMs),
  },
  {
    name: 'spillway_sync_peer_lag_seconds',
    type: 'gauge',
    help: 'From the making of a record at the peer to its arrival here, as the clocks of both allow.',
    value: ({ lagMs }) => seconds(lagMs),
  },
  {
    name: 'spillway_sync_peer_datagrams_total',
    type: 'counter',
    help: 'Datagrams of sessions from the peer.',
    value: ({ datagrams }) => datagrams,
  },
  {
    name: 'spillway_sync_peer_missed_total',
    type: 'counter',
    help: 'Datagrams of the peer that did not come at first.',
    value: ({ missed }) => missed,
  },
  {
    name: 'spillway_sync_peer_repaired_total',
    type: 'counter',
    help: 'Missed datagrams that came when they were asked for.',
    value: ({ repaired }) => repaired,
  },
  {
    name: 'spillway_sync_peer_given_up_total',
    type: 'counter',
    help: 'Missed datagrams that the peer has no more: tables are compared instead.',
    value: ({ givenUp }) => givenUp,
  },
];

/** Labels: neighbor. */
const neighborFamilies: readonly Family<ClusterNeighbor>[] = [
  {
    name: 'spillway_bgp_neighbor_established',
    type: 'gauge',
    help: '1: the BGP session with the router is established.',
    value: ({ state }) => flag(state === 'Established'),
  },
  {
    name: 'spillway_bgp_neighbor_since_timestamp_seconds',
    type: 'gauge',
    help: 'Since when the BGP session is in its state.',
    value: ({ sinceMs }) => seconds(sinceMs),
  },
  {
    name: 'spillway_bgp_neighbor_exported_routes',
    type: 'gauge',
    help: 'Routes told to the router.',
    value: ({ routesExported }) => routesExported,
  },
  {
    name: 'spillway_bfd_neighbor_up',
    type: 'gauge',
    help: '1: the BFD session with the router is up. Without BFD there is no sample.',
    value: ({ bfd }) => (bfd === 'up' ? 1 : bfd === 'down' ? 0 : null),
  },
];

interface SyncFamily {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  /** Values of the label, and the names of sync/types.ts SyncCounters. */
  readonly counters: Readonly<Record<string, string>>;
}

const syncFamilies: readonly SyncFamily[] = [
  {
    name: 'spillway_sync_datagrams_total',
    help: 'Datagrams between nodes.',
    label: 'direction',
    counters: { sent: 'datagramsSent', received: 'datagramsReceived' },
  },
  {
    name: 'spillway_sync_bytes_total',
    help: 'Bytes of the datagrams between nodes, without IP and UDP headers.',
    label: 'direction',
    counters: { sent: 'bytesSent', received: 'bytesReceived' },
  },
  {
    name: 'spillway_sync_records_total',
    help: 'Records of sessions in the datagrams between nodes.',
    label: 'direction',
    counters: { sent: 'recordsSent', received: 'recordsReceived' },
  },
  {
    name: 'spillway_sync_merged_records_total',
    help: 'Records received, by what became of them. stale: the table had it as new, or newer.',
    label: 'result',
    counters: {
      applied: 'recordsApplied',
      stale: 'recordsStale',
      unknown: 'recordsUnknown',
      no_room: 'recordsNoRoom',
    },
  },
  {
    name: 'spillway_sync_dropped_datagrams_total',
    help: 'Datagrams of which nothing was taken, by reason.',
    label: 'reason',
    counters: {
      malformed: 'droppedMalformed',
      version: 'droppedVersion',
      unauthenticated: 'droppedUnauthenticated',
      replayed: 'droppedReplayed',
      unadmitted: 'droppedUnadmitted',
    },
  },
  {
    name: 'spillway_sync_lost_datagrams_total',
    help: 'Datagrams of all peers that did not come at first, that came when asked for, and that were given up.',
    label: 'result',
    counters: { missed: 'missed', repaired: 'repaired', given_up: 'givenUp' },
  },
  {
    name: 'spillway_sync_retransmitted_datagrams_total',
    help: 'Own datagrams that were sent again to a peer that had missed them.',
    label: '',
    counters: { '': 'retransmitted' },
  },
  {
    name: 'spillway_sync_send_errors_total',
    help: 'Datagrams that the kernel did not take.',
    label: '',
    counters: { '': 'sendErrors' },
  },
  {
    name: 'spillway_sync_unannounced_records_total',
    help: 'Own sessions left out of the stream: above the rate, or overwritten in the log before they were read.',
    label: 'reason',
    counters: { rate: 'rateLimited', log_overrun: 'logOverruns' },
  },
  {
    name: 'spillway_sync_table_comparisons_total',
    help: "Comparisons of this node's table with a peer's, and those of them that failed.",
    label: 'result',
    counters: { begun: 'tablesCompared', failed: 'comparisonsFailed' },
  },
  {
    name: 'spillway_sync_differing_ranges_total',
    help: 'Ranges of tags, of 4,096, that comparisons found to differ for good.',
    label: '',
    counters: { '': 'rangesDiffering' },
  },
  {
    name: 'spillway_sync_mended_sessions_total',
    help: "Sessions fetched where tables differed, and those of them that changed this node's table.",
    label: 'result',
    counters: { fetched: 'sessionsFetched', applied: 'sessionsMended' },
  },
];

/** The cluster as this node sees it. Small: a few samples for each node, VIP and neighbor. */
export function clusterText(status: ClusterStatus): string {
  const { nodes, routes, sync, problems } = status;
  const peers = nodes.filter(({ self }) => !self);
  return [
    block('spillway_cluster_problems', 'gauge', 'Things amiss with the cluster; spillway cluster lists them.', [
      [{}, problems.length],
    ]),
    block(
      'spillway_cluster_node_info',
      'gauge',
      'Always 1; the labels say what the node is.',
      nodes.map(({ name, zone, version, self }) => [{ node: name, zone, version, self: `${self}` }, 1]),
    ),
    block(
      'spillway_cluster_node_life',
      'gauge',
      '1: the node is in this part of its life.',
      nodes.flatMap(({ name, life }) => lives.map((one): Sample => [{ node: name, life: one }, flag(one === life)])),
    ),
    ...nodeFamilies.map((family) => familyText(family, nodes, ({ name }) => ({ node: name }))),
    ...peerFamilies.map((family) => familyText(family, peers, ({ name }) => ({ node: name }))),
    ...(sync === null ? [] : syncFamilies.map((family) => syncText(family, sync))),
    block(
      'spillway_route_announced',
      'gauge',
      '1: the VIP is announced; 0: what is said by spillway cluster keeps it back.',
      routes.vips.map((route) => [labelsOf(route), flag(route.announce)]),
    ),
    ...neighborFamilies.map((family) => familyText(family, routes.neighbors, ({ address }) => ({ neighbor: address }))),
  ].join('');
}

function labelsOf({ loadBalancer, vip, preference }: VipRoute): Record<string, string> {
  return { load_balancer: loadBalancer, vip, preference };
}

function familyText<T>(
  { name, type, help, value }: Family<T>,
  all: readonly T[],
  labels: (one: T) => Record<string, string>,
): string {
  const samples = all.flatMap((one): Sample[] => {
    const found = value(one);
    return found === null ? [] : [[labels(one), found]];
  });
  return block(name, type, help, samples);
}

function syncText({ name, help, label, counters }: SyncFamily, sync: NonNullable<ClusterStatus['sync']>): string {
  const samples = Object.entries(counters).map(
    ([word, counter]): Sample => [label === '' ? {} : { [label]: word }, sync[counter] ?? 0n],
  );
  return block(name, 'counter', help, samples);
}
