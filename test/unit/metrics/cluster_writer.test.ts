import test from 'ava';
import { syncCounts } from '../../../src/agent/cluster-status.js';
import { clusterText } from '../../../src/metrics/cluster_writer.js';
import { countersOf } from '../../../src/sync/counters.js';
import { cluster, node } from './fixture.js';

const samples = (text: string, name: string): string[] =>
  text.split('\n').flatMap((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `) ? [line] : []));
const of = (text: string, name: string): string[] => samples(text, name).map((line) => line.slice(name.length));

test('each node is in one part of its life, and is what it is', (t) => {
  const text = clusterText(cluster({ nodes: [node('lb1', { self: true }), node('lb2', { life: 'draining' })] }));
  const on = of(text, 'spillway_cluster_node_life').filter((line) => line.endsWith(' 1'));
  t.deepEqual(on, ['{node="lb1",life="active"} 1', '{node="lb2",life="draining"} 1']);
  t.is(of(text, 'spillway_cluster_node_life').length, 8);
  t.deepEqual(of(text, 'spillway_cluster_node_info'), [
    '{node="lb1",zone="a",version="0.1.0",self="true"} 1',
    '{node="lb2",zone="a",version="0.1.0",self="false"} 1',
  ]);
});

test('a peer that is silent, suspect or wants another state shows it', (t) => {
  const change = { alive: false, suspect: true, configDiffers: true, configVersion: 6n };
  const text = clusterText(cluster({ nodes: [node('lb1', { self: true }), node('lb2', change)] }));
  const both = (name: string): (string | undefined)[] => of(text, name).map((line) => line.split(' ').at(-1));
  t.deepEqual(both('spillway_cluster_node_alive'), ['1', '0']);
  t.deepEqual(both('spillway_cluster_node_suspect'), ['0', '1']);
  t.deepEqual(both('spillway_cluster_node_config_differs'), ['0', '1']);
  t.deepEqual(both('spillway_cluster_node_config_version'), ['7', '6']);
});

test('streams are told by peer, exact beyond 2^53; the own node has none', (t) => {
  const text = clusterText(cluster());
  t.deepEqual(of(text, 'spillway_sync_peer_datagrams_total'), ['{node="lb2"} 9007199254740993']);
  t.deepEqual(of(text, 'spillway_sync_peer_missed_total'), ['{node="lb2"} 3']);
  t.deepEqual(of(text, 'spillway_sync_peer_repaired_total'), ['{node="lb2"} 2']);
  t.deepEqual(of(text, 'spillway_sync_peer_given_up_total'), ['{node="lb2"} 1']);
  t.deepEqual(of(text, 'spillway_sync_peer_lag_seconds'), ['{node="lb2"} 0.0025']);
  const unknown = clusterText(cluster({ nodes: [node('lb2', { lagMs: null, lastHeardMs: null })] }));
  t.false(unknown.includes('lag_seconds') || unknown.includes('last_heard'));
});

test('all that the stream dropped has its reason; what is not counted is 0', (t) => {
  const text = clusterText(cluster());
  t.deepEqual(of(text, 'spillway_sync_dropped_datagrams_total'), [
    '{reason="malformed"} 0',
    '{reason="version"} 0',
    '{reason="unauthenticated"} 0',
    '{reason="replayed"} 4',
    '{reason="unadmitted"} 0',
  ]);
  t.deepEqual(of(text, 'spillway_sync_merged_records_total')[0], '{result="applied"} 9007199254740993');
  t.deepEqual(of(text, 'spillway_sync_unannounced_records_total'), ['{reason="rate"} 6', '{reason="log_overrun"} 0']);
  t.deepEqual(of(text, 'spillway_sync_retransmitted_datagrams_total'), [' 0']);
});

test('every counter of the stream is in the exposition', (t) => {
  const none = { compared: 0, differing: 0, fetched: 0, applied: 0, failed: 0 };
  const names = Object.keys(syncCounts({ counters: () => countersOf({}), repairs: () => none }));
  const sync = Object.fromEntries(names.map((name, i) => [name, 1_000_000n + BigInt(i)]));
  const text = clusterText(cluster({ sync }));
  for (const name of names) t.is(text.split(` ${sync[name]}\n`).length, 2, name);
});

test('routes and neighbors: announced or not, established or not; without BFD no sample of it', (t) => {
  const text = clusterText(cluster());
  t.deepEqual(of(text, 'spillway_route_announced'), [
    '{load_balancer="web",vip="192.0.2.1",preference="primary"} 1',
    '{load_balancer="web",vip="2001:db8::1",preference="secondary"} 0',
  ]);
  t.deepEqual(of(text, 'spillway_bgp_neighbor_established'), ['{neighbor="10.0.0.254"} 1', '{neighbor="fd00::254"} 0']);
  t.deepEqual(of(text, 'spillway_bfd_neighbor_up'), ['{neighbor="10.0.0.254"} 1']);
});

test('a node by itself, without sync and routes, has its own samples alone', (t) => {
  const alone = cluster({
    ...{ nodes: [node('lb1', { self: true })], sync: null, problems: [] },
    routes: { kind: 'none', vips: [], neighbors: [] },
  });
  const text = clusterText(alone);
  t.deepEqual(of(text, 'spillway_cluster_problems'), [' 0']);
  t.false(/spillway_(sync|route|bgp|bfd)_/.test(text));
});
