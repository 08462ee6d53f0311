import { spawnSync } from 'node:child_process';
import test from 'ava';
import { metricOf } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { backendNames, vip4 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

/** Ethernet, IPv4 and UDP headers, and the sequence number. */
const echoFrameBytes = 14 + 20 + 8 + 4;
const closedPort = 9;
let cluster: Cluster;

test.before(async () => {
  cluster = await Cluster.start(`at-m-${process.pid}`);
  const listeners = [tcp(80, 'http', { healthCheck: quickCheck }), udp(echoPort, 'echo')];
  await cluster.apply(web(listeners, [group('http'), group('echo')]));
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

/** A series over both load balancers. */
async function total(series: string): Promise<number> {
  const scrapes = await Promise.all(cluster.agents.map((agent) => agent.scrape()));
  return scrapes.reduce((sum, scraped) => sum + metricOf(scraped, series), 0);
}

/** How much each of the series grows over both load balancers while `task` runs. */
async function growth(series: readonly string[], task: () => Promise<unknown>): Promise<number[]> {
  const before = await Promise.all(series.map(total));
  await task();
  const after = await Promise.all(series.map(total));
  return after.map((value, i) => value - before[i]!);
}

function listener(name: string, of: 'tcp-80' | 'udp-7'): string {
  return `spillway_listener_${name}{load_balancer="web",listener="${of}"}`;
}

function backend(name: string, of: 'tcp-80' | 'udp-7', host: string): string {
  const group = of === 'tcp-80' ? 'http' : 'echo';
  return `spillway_backend_${name}{load_balancer="web",listener="${of}",backend_group="${group}",backend="${host}"}`;
}

/** TCP segments that the client's kernel has sent, first ones and those sent again. */
async function segmentsSent(): Promise<number> {
  const text = await cluster.lab.must('client', 'cat', '/proc/net/snmp');
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  const value = (name: string): number => Number(values![names!.indexOf(name)]);
  return value('OutSegs') + value('RetransSegs');
}

test.serial('promtool finds nothing to mend in a scrape, and curl finds the node alive and ready', async (t) => {
  for (const agent of cluster.agents) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: await agent.scrape(),
      encoding: 'utf8',
    });
    t.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
    for (const path of ['livez', 'readyz']) {
      await t.notThrowsAsync(cluster.lab.must(agent.host, 'curl', '-sf', `http://127.0.0.1:9155/${path}`), path);
    }
  }
});

test.serial(
  'the packets of a TCP listener are those that the client sent, one new session for each request',
  async (t) => {
    const requests = 200;
    const series = [
      listener('packets_total', 'tcp-80'),
      listener('new_sessions_total', 'tcp-80'),
      ...backendNames.map((host) => backend('packets_total', 'tcp-80', host)),
    ];
    let segments = 0;
    const [packets = 0, sessions, ...byBackend] = await growth(series, async () => {
      const before = await segmentsSent();
      for (let i = 0; i < requests; i += 50) {
        const answers = await cluster.client.call('requests', { address: vip4, port: 80, count: 50 });
        for (const { error } of answers) t.is(error, '');
      }
      // The last FINs and their ACKs are on their way when the answers are there.
      let last = -1;
      segments = await until(
        'the client is silent',
        async () => {
          const now = (await segmentsSent()) - before;
          const silent = now === last;
          last = now;
          return silent && now;
        },
        { everyMs: 100 },
      );
    });
    t.is(packets, segments);
    t.is(sessions, requests);
    t.is(
      byBackend.reduce((sum, count) => sum + count, 0),
      packets,
    );
    for (const count of byBackend) t.true(count > segments / 6, `${count} of ${segments}`);
  },
);

test.serial('packets and bytes of a UDP listener are those that were sent, and each flow is a session', async (t) => {
  const flows = 10;
  const series = ['packets_total', 'bytes_total', 'new_sessions_total'].map((name) => listener(name, 'udp-7'));
  let sent = 0;
  const [packets, bytes, sessions] = await growth(series, async () => {
    await cluster.client.call('startEcho', { as: 'echo', address: vip4, port: echoPort, flows, perSecond: 100 });
    await until('datagrams come back', async () => (await cluster.client.call('echoReport', 'echo')).received >= 200);
    ({ sent } = await cluster.client.call('stopEcho', 'echo'));
  });
  t.deepEqual({ packets, bytes, sessions }, { packets: sent, bytes: sent * echoFrameBytes, sessions: flows });
});

test.serial('each dropped packet is counted under its reason', async (t) => {
  let sent = 0;
  const [drops] = await growth(['spillway_dropped_packets_total{reason="no_listener"}'], async () => {
    await cluster.client.call('startEcho', { as: 'lost', address: vip4, port: closedPort, flows: 4, perSecond: 50 });
    await until('some were sent', async () => (await cluster.client.call('echoReport', 'lost')).sent >= 40);
    ({ sent } = await cluster.client.call('stopEcho', 'lost'));
  });
  t.is(drops, sent);
});

test.serial('gauges say what is: attachment, health, weights, sessions, configuration', async (t) => {
  const [agent] = cluster.agents;
  await cluster.setWeight('http', 'be2', 40);
  const scraped = await agent.scrape();
  const value = (series: string): number => metricOf(scraped, series);
  t.is(value('spillway_interface_attached{interface="eth0",mode="native"}'), 1);
  t.is(value(listener('backends', 'tcp-80')), 3);
  t.is(value(listener('backends_healthy', 'tcp-80')), 3);
  t.is(value(backend('weight', 'tcp-80', 'be2')), 40);
  t.is(value(backend('healthy', 'tcp-80', 'be1')), 1);
  t.true(value('spillway_health_check_duration_seconds_count{kind="http",result="success"}') > 3);
  t.is(value('spillway_grpc_requests_total{service="ConfigService",method="UpdateBackend",code="OK"}'), 1);
  const { version } = await agent.client.config.get();
  t.is(value('spillway_config_version'), Number(version));
  const { sessionTable } = await agent.client.status.get({ summary: true });
  t.is(value('spillway_session_table_slots'), Number(sessionTable!.slots));
});
