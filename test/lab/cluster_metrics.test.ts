/** What a scrape tells of a cluster, with real agents, real datagrams between them and real BGP to the router. */
import { spawnSync } from 'node:child_process';
import anyTest, { type TestFn } from 'ava';
import { type Agent, type LbName, metricOf } from '../support/lab/agent.js';
import { Cluster } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, web } from '../support/lab/desired.js';
import { vip4, vip6 } from '../support/lab/lab.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest as TestFn;
let cluster: Cluster;
const desired = web([tcp(80, 'servers', { healthCheck: quickCheck })], [group('servers')]);

const settings = (host: LbName): Readonly<Record<string, unknown>> => ({
  node: { name: host, zone: 'a' },
  sync: { interface: 'eth0' },
  routes: {
    localAs: 64497,
    localAddress4: `203.0.113.1${host.slice(2)}`,
    localAddress6: `2001:db8:200::1${host.slice(2)}`,
    neighbors: [
      { address: '203.0.113.1', as: 64496 },
      { address: '2001:db8:200::1', as: 64496 },
    ],
    socket: `/run/spillway/cm-${process.pid}/${host}-bird.ctl`,
  },
});

test.before(async () => {
  cluster = await Cluster.start(`cm-${process.pid}`, { topology: { cluster: 'one zone' }, settings });
  await cluster.apply(desired);
  await cluster.allHealthy();
});
test.beforeEach((t) => t.timeout(90_000 * patience));
test.after.always(() => cluster?.close());

/** The scrape in which all of these series have these values. */
async function says(agent: Agent, wanted: Readonly<Record<string, number>>): Promise<string> {
  return until(
    `${agent.host} says ${JSON.stringify(wanted)}`,
    async () => {
      const scraped = await agent.scrape();
      const wrong = Object.entries(wanted).filter(([series, value]) => metricOf(scraped, series) !== value);
      if (wrong.length === 0) return scraped;
      throw new Error(wrong.map(([series]) => `${series} ${metricOf(scraped, series)}`).join(', '));
    },
    { withinMs: 30_000, everyMs: 100 },
  );
}

test.serial('nodes, routes and BGP are as they are, on every node alike, and promtool agrees', async (t) => {
  for (const agent of cluster.agents) {
    const wanted: Record<string, number> = { spillway_cluster_problems: 0 };
    for (const node of ['lb1', 'lb2']) {
      wanted[`spillway_cluster_node_life{node="${node}",life="active"}`] = 1;
      wanted[`spillway_cluster_node_alive{node="${node}"}`] = 1;
      wanted[`spillway_cluster_node_announced_vips{node="${node}"}`] = 2;
      wanted[`spillway_cluster_node_config_differs{node="${node}"}`] = 0;
      wanted[`spillway_cluster_node_suspect{node="${node}"}`] = 0;
    }
    for (const vip of [vip4, vip6]) {
      wanted[`spillway_route_announced{load_balancer="web",vip="${vip}",preference="primary"}`] = 1;
    }
    for (const neighbor of ['203.0.113.1', '2001:db8:200::1']) {
      wanted[`spillway_bgp_neighbor_established{neighbor="${neighbor}"}`] = 1;
      wanted[`spillway_bfd_neighbor_up{neighbor="${neighbor}"}`] = 1;
      wanted[`spillway_bgp_neighbor_exported_routes{neighbor="${neighbor}"}`] = 1;
    }
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await says(agent, wanted),
      encoding: 'utf8',
    });
    t.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  }
});

test.serial('sessions that one node tells of are those that the other takes, and no datagram is dropped', async (t) => {
  const { client } = cluster;
  await client.call('startRequests', { as: 'http', address: vip4, port: 80, perSecond: 50 });
  const both = () => Promise.all(cluster.agents.map((agent) => agent.scrape()));
  const sent = 'spillway_sync_records_total{direction="sent"}';
  const applied = 'spillway_sync_merged_records_total{result="applied"}';
  await until(
    'sessions are told of',
    async () => {
      const scrapes = await both();
      const total = (series: string): number => scrapes.reduce((sum, one) => sum + metricOf(one, series), 0);
      return total(sent) >= 50 && total(applied) >= 50;
    },
    { withinMs: 20_000, everyMs: 100 },
  );
  t.deepEqual((await client.call('stopRequests', 'http')).failures, []);
  const settled = await until(
    'all that was sent was received',
    async () => {
      const scrapes = await both();
      const [one, two] = scrapes as [string, string];
      const received = 'spillway_sync_records_total{direction="received"}';
      return (
        metricOf(one, sent) === metricOf(two, received) && metricOf(two, sent) === metricOf(one, received) && scrapes
      );
    },
    { withinMs: 20_000, everyMs: 100 },
  );
  for (const [i, scraped] of settled.entries()) {
    const peer = `lb${2 - i}`;
    const results = ['applied', 'stale', 'unknown', 'no_room'].map((result) =>
      metricOf(scraped, `spillway_sync_merged_records_total{result="${result}"}`),
    );
    t.is(
      results.reduce((sum, count) => sum + count),
      metricOf(scraped, 'spillway_sync_records_total{direction="received"}'),
    );
    for (const reason of ['malformed', 'version', 'unauthenticated', 'replayed']) {
      t.is(metricOf(scraped, `spillway_sync_dropped_datagrams_total{reason="${reason}"}`), 0, reason);
    }
    t.is(metricOf(scraped, `spillway_sync_peer_given_up_total{node="${peer}"}`), 0);
    t.true(metricOf(scraped, `spillway_sync_peer_datagrams_total{node="${peer}"}`) > 0);
    const heard = metricOf(scraped, `spillway_sync_peer_last_heard_timestamp_seconds{node="${peer}"}`);
    t.true(Math.abs(heard - Date.now() / 1000) < 10);
  }
});

test.serial('another state on one node, and a node that is gone, show on the other', async (t) => {
  const [one, two] = cluster.agents;
  const differs = 'spillway_cluster_node_config_differs{node="lb2"}';
  await one.client.config.apply({ config: { ...desired, backendGroups: [group('servers'), group('more')] } });
  await says(one, { [differs]: 1, spillway_cluster_problems: 1 });
  await one.client.config.apply({ config: desired });
  await says(one, { [differs]: 0, spillway_cluster_problems: 0 });
  await two.kill('SIGKILL');
  await says(one, { 'spillway_cluster_node_alive{node="lb2"}': 0, spillway_cluster_problems: 1 });
  await two.start();
  await says(one, { 'spillway_cluster_node_alive{node="lb2"}': 1, spillway_cluster_problems: 0 });
  await says(two, { 'spillway_cluster_node_life{node="lb2",life="active"}': 1 });
  t.pass();
});
