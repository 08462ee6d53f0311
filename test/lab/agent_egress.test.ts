/** Frontend and backends on networks of their own: what comes in by eth0 leaves by eth1. */
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { BpfMap } from '../../src/dataplane/addon.js';
import { type Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp } from '../support/lab/desired.js';
import { backendNames } from '../support/lab/lab.js';
import { ip, packets, type Site, startSite, testSite } from '../support/lab/steered.js';
import { until } from '../support/lab/until.js';

const site: Site = {
  name: 'eg-two',
  topology: { back: 'own' },
  backendInterface: 'eth1',
  egress: { egressInterface: 'eth1', egressVlan: 0 },
  /* lb2 as on cards without XDP. */
  settings: (host) => ({ interfaces: ['eth0', 'eth1'], xdpMode: host === 'lb1' ? 'native' : 'generic' }),
};
let cluster: Cluster;

test.before(async () => {
  cluster = await startSite(site);
  /* Without the interface there is no way: not round by the router. */
  for (const host of ['lb1', 'lb2'] as const) {
    for (const network of ['198.18.1.0/24', '2001:db8:300::/64']) {
      await ip(cluster, host, 'route', 'add', 'unreachable', network, 'metric', '4242');
    }
  }
});
test.after.always(() => cluster?.close());

testSite(site, () => cluster);

/** Of lb1: every backend on the second network is up, or none is. */
async function lb1Says(up: boolean, reason = /./): Promise<boolean> {
  const { listeners } = await cluster.agents[0].client.status.get({ summary: false });
  const backends = listeners.filter(({ loadBalancer }) => loadBalancer !== 'front').flatMap((one) => one.backends);
  return backends.length > 0 && backends.every((one) => one.up === up && (up || reason.test(one.reason)));
}

async function failures(address: string, count = 30): Promise<string[]> {
  const answers = await cluster.client.call('requests', { address, port: 80, count, timeoutMs: 3000 });
  return answers.map(({ error }) => error).filter((error) => error !== '');
}

test.serial('what comes in by the second interface is served as well, by either network', async (t) => {
  const front = '192.0.2.15';
  for (const { client } of cluster.agents) {
    const { config } = await client.config.get({});
    await client.config.apply({
      config: {
        ...config,
        loadBalancers: [
          ...config!.loadBalancers,
          { name: 'front', addresses: [front], listeners: [tcp(80, 'front', { healthCheck: quickCheck })] },
        ],
        backendGroups: [...config!.backendGroups, group('front')],
      },
    });
  }
  await cluster.allHealthy();
  for (const { client } of cluster.agents) {
    const { listeners } = await client.status.get({ summary: false });
    const { backends } = listeners.find(({ loadBalancer }) => loadBalancer === 'front')!;
    for (const backend of backends) t.like(backend, { egressInterface: 'eth0', egressVlan: 0 });
  }
  /* The first two VIPs and the new one by the second network; each LB gets a share of each. */
  const others = [front, '192.0.2.10', '192.0.2.13'];
  const nexthops = ['nexthop', 'via', '198.18.1.11', 'nexthop', 'via', '198.18.1.12'];
  for (const vip of others) await ip(cluster, 'router', 'route', 'add', `${vip}/32`, ...nexthops);
  const before = await Promise.all(['front', 'l2', 'gue4'].map((name) => packets(cluster, name, 'TCP')));
  for (const vip of others) t.deepEqual(await failures(vip, 60), [], vip);
  const after = await Promise.all(['front', 'l2', 'gue4'].map((name) => packets(cluster, name, 'TCP')));
  for (const [i, counts] of after.entries()) {
    for (const [lb, count] of counts.entries()) t.true(count - before[i]![lb]! >= 30n, `${others[i]}, lb${lb + 1}`);
  }
  for (const vip of others) await ip(cluster, 'router', 'route', 'del', `${vip}/32`);
  t.deepEqual(await failures(front, 60), [], 'and by the first');
});

test.serial('an interface that goes down takes its backends with it, says so, and comes back', async (t) => {
  const { agents } = cluster;
  await ip(cluster, 'lb1', 'link', 'set', 'eth1', 'down');
  await until('lb1 has no backend up', () => lb1Says(false, /no next hop: .*(eth1 is down|unreachable route)/));
  const { problems, listeners } = await agents[0].client.status.get({ summary: false });
  t.regex(problems.join('\n'), /interface eth1 is down: bring it up/);
  const front = listeners.find(({ loadBalancer }) => loadBalancer === 'front')!;
  t.true(
    front.backends.every(({ up }) => up),
    'those behind the other interface stay',
  );
  await ip(cluster, 'lb1', 'link', 'set', 'eth1', 'up');
  /* The kernel takes IPv6 addresses off an interface that goes down. */
  await ip(cluster, 'lb1', 'addr', 'replace', '2001:db8:300::11/64', 'dev', 'eth1', 'nodad');
  await until('lb1 has all backends up', () => lb1Says(true));
  await cluster.allHealthy();
  for (const vip of ['192.0.2.10', '2001:db8:10::10', '192.0.2.14']) t.deepEqual(await failures(vip), [], vip);
});

test.serial('an interface that is made anew, with another number and address, is attached and sent by', async (t) => {
  const { lab, agents } = cluster;
  const indexOf = async (): Promise<number> =>
    (JSON.parse(await ip(cluster, 'lb1', '-j', 'link', 'show', 'eth1')) as { ifindex: number }[])[0]!.ifindex;
  const before = await indexOf();
  await ip(cluster, 'lb1', 'link', 'del', 'eth1');
  await until('lb1 has no backend up', () => lb1Says(false));
  t.regex((await agents[0].client.status.get({ summary: true })).problems.join('\n'), /interface eth1 does not exist/);

  const ns = (host: string): string => `sw-${lab.name}-${host}`;
  const peer = ['type', 'veth', 'peer', 'name', 'lb1-back', 'netns', ns('bridge'), 'mtu', '1600'];
  /* Another device in between, so that the number is another. */
  await ip(cluster, 'lb1', 'link', 'add', 'spare', 'type', 'veth', 'peer', 'name', 'spare1');
  await ip(cluster, 'lb1', 'link', 'add', 'eth1', 'mtu', '1600', 'address', '02:00:00:00:09:11', ...peer);
  const object = fileURLToPath(new URL('../support/xdp_pass.bpf.o', import.meta.url));
  await ip(cluster, 'bridge', 'link', 'set', 'lb1-back', 'master', 'br1', 'up');
  await lab.must('bridge', 'ethtool', '-K', 'lb1-back', 'tx', 'off', 'txvlan', 'off');
  await ip(cluster, 'bridge', 'link', 'set', 'dev', 'lb1-back', 'xdpdrv', 'obj', object, 'sec', 'xdp');
  await ip(cluster, 'lb1', 'link', 'set', 'eth1', 'up');
  await ip(cluster, 'lb1', 'addr', 'add', '198.18.1.11/24', 'dev', 'eth1');
  await ip(cluster, 'lb1', 'addr', 'add', '2001:db8:300::11/64', 'dev', 'eth1', 'nodad');
  t.not(await indexOf(), before);

  await until('lb1 has all backends up', () => lb1Says(true), { withinMs: 20_000 });
  await cluster.allHealthy();
  const { node, problems } = await agents[0].client.status.get({ summary: true });
  t.like(
    node!.attachments.find((at) => at.interface === 'eth1'),
    { attached: true, mac: '02:00:00:00:09:11', mode: 'native' },
  );
  t.deepEqual(problems, []);
  for (const vip of ['192.0.2.10', '2001:db8:10::10', '192.0.2.14']) t.deepEqual(await failures(vip, 60), [], vip);
});

test.serial('an agent that is killed and comes back has packets leave as before, all the while', async (t) => {
  const { agents, client } = cluster;
  const rows = async (): Promise<string> => {
    const map = BpfMap.openPinned(`${agents[0].pins}/map/egresses`);
    const bytes = Buffer.from(map.readRange(0, 4)).toString('hex');
    map.close();
    return bytes;
  };
  const before = await rows();
  await client.call('startEcho', { as: 'kill', address: '192.0.2.10', port: echoPort, flows: 16, perSecond: 50 });
  await agents[0].kill('SIGKILL');
  await agents[0].start();
  await cluster.allHealthy();
  const report = await client.call('stopEcho', 'kill');
  t.deepEqual(report.missing.flat(), []);
  t.is(await rows(), before, 'the same numbers');
});

test.serial('a backend whose server stops is found out over the other interface, and alone', async (t) => {
  await cluster.backends.be2.call('stopHttp');
  const state = async (name: string): Promise<string[]> => {
    const states = await Promise.all(cluster.agents.map(({ client }) => client.status.get({ summary: false })));
    return states.flatMap(({ listeners }) =>
      listeners.flatMap(({ backends, protocol }) =>
        backends.filter((one) => one.name === name && protocol === 'TCP').map(({ health }) => String(health)),
      ),
    );
  };
  await until('be2 is unhealthy by every way', async () => (await state('be2')).every((one) => one === 'UNHEALTHY'));
  for (const name of backendNames.filter((one) => one !== 'be2')) {
    t.true(
      (await state(name)).every((one) => one === 'HEALTHY'),
      name,
    );
  }
  for (const vip of ['192.0.2.11', '2001:db8:10::14']) t.deepEqual(await failures(vip), [], vip);
  await cluster.backends.be2.call('startHttp', [80]);
  await cluster.allHealthy();
});
