import { fileURLToPath } from 'node:url';
import test from 'ava';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp } from '../support/lab/desired.js';
import { backendNames, client4, client6, type HostName } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const vips = {
  l2: { 4: '192.0.2.10', 6: '2001:db8:10::10' },
  tunnel4: { 4: '192.0.2.11' },
  tunnel6: { 4: '192.0.2.12', 6: '2001:db8:10::12' },
  vlan: { 4: '192.0.2.15' },
} as const;
/** Each way of forwarding, and the VIP that is reached over it. */
const ways = [
  { name: 'IPv4 over L2_DSR', vip: vips.l2[4], loadBalancer: 'l2', client: client4 },
  { name: 'IPv6 over L2_DSR', vip: vips.l2[6], loadBalancer: 'l2', client: client6 },
  { name: 'IPv4 over IPIP to IPv4 backends', vip: vips.tunnel4[4], loadBalancer: 'tunnel4', client: client4 },
  { name: 'IPv4 over IPIP to IPv6 backends', vip: vips.tunnel6[4], loadBalancer: 'tunnel6', client: client4 },
  { name: 'IPv6 over IPIP to IPv6 backends', vip: vips.tunnel6[6], loadBalancer: 'tunnel6', client: client6 },
] as const;
const mirrored = 4 * 1024 * 1024;
let cluster: Cluster;

test.before(async () => {
  const everyVip = [...ways.map(({ vip }) => vip), vips.vlan[4]];
  cluster = await Cluster.start(`at-t-${process.pid}`, { vips: everyVip });
  const { lab } = cluster;
  for (const backend of backendNames) {
    const instance = `${lab.name}-${backend}`;
    await lab.must(backend, 'spillway', 'backend', 'attach', '--interface', 'eth0', '--instance', instance);
  }
  const listeners = (backendGroup: string) => [
    tcp(80, backendGroup, { healthCheck: quickCheck }),
    udp(echoPort, backendGroup),
  ];
  await cluster.apply({
    loadBalancers: [
      { name: 'l2', addresses: Object.values(vips.l2), listeners: listeners('l2') },
      { name: 'tunnel4', addresses: Object.values(vips.tunnel4), listeners: listeners('tunnel4') },
      { name: 'tunnel6', addresses: Object.values(vips.tunnel6), listeners: listeners('tunnel6') },
      { name: 'vlan', addresses: Object.values(vips.vlan), listeners: [tcp(80, 'l2')] },
    ],
    backendGroups: [
      group('l2'),
      group('tunnel4', { forwarding: 'IPIP' }),
      group('tunnel6', { forwarding: 'IPIP', family: 6 }),
    ],
  });
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

/** Packets of a LoadBalancer's listener for `protocol`, on each node. */
function packets(loadBalancer: string, protocol: 'TCP' | 'UDP'): Promise<bigint[]> {
  return Promise.all(
    cluster.agents.map(async ({ client }) => {
      const { listeners } = await client.status.get({ summary: true });
      return listeners.find((one) => one.loadBalancer === loadBalancer && one.protocol === protocol)!.traffic!.packets;
    }),
  );
}

for (const { name, vip, loadBalancer, client } of ways) {
  test.serial(`${name}: requests over both load balancers reach all backends with the client's address`, async (t) => {
    const before = await packets(loadBalancer, 'TCP');
    const answers = await cluster.client.call('requests', { address: vip, port: 80, count: 60 });
    for (const { error, hello } of answers) {
      t.is(error, '');
      t.is(hello?.client, client);
    }
    t.deepEqual([...new Set(answers.map(({ hello }) => hello?.backend))].sort(), [...backendNames]);
    const after = await packets(loadBalancer, 'TCP');
    // At least SYN, ACK with request, FIN of each: so each of the two served some.
    for (const [i, count] of after.entries()) t.true(count - before[i]! >= 30n, `${count - before[i]!} packets`);
  });

  test.serial(`${name}: 4 MiB there and back arrive byte by byte`, async (t) => {
    const answers = await Promise.all(
      backendNames.map(() => cluster.client.call('mirror', { address: vip, port: 80, bytes: mirrored })),
    );
    for (const answer of answers) t.like(answer, { received: mirrored, same: true });
  });

  test.serial(`${name}: datagrams come back, each flow from one backend`, async (t) => {
    const as = name;
    await cluster.client.call('startEcho', { as, address: vip, port: echoPort, flows: 12, perSecond: 50 });
    await until('datagrams come back', async () => (await cluster.client.call('echoReport', as)).received >= 120);
    const report = await cluster.client.call('stopEcho', as);
    t.deepEqual(report.missing.flat(), []);
    t.is(report.duplicates, 0);
    t.deepEqual(report.clients, [client]);
    for (const backends of report.backends) t.is(backends.length, 1);
    t.true(new Set(report.backends.flat()).size > 1);
  });
}

test.serial('what is not for a listener is left alone, answered or dropped with a reason', async (t) => {
  const { lab, agents, client } = cluster;
  const counted = async (reason: string): Promise<bigint> => {
    const states = await Promise.all(agents.map((agent) => agent.client.status.get({ summary: true })));
    return states.reduce((sum, { reasons }) => sum + reasons.find((one) => one.reason === reason)!.packets, 0n);
  };
  for (const address of ['203.0.113.11', '2001:db8:200::12']) {
    t.is((await lab.exec('client', 'ping', '-c', '1', '-W', '2', address)).code, 0, `${address} is the host's own`);
  }
  const noListener = await counted('no_listener');
  const [refused] = await client.call('requests', { address: vips.l2[4], port: 4711, count: 1, timeoutMs: 300 });
  t.is(refused!.error, 'timeout after 300 ms while connecting');
  t.true((await counted('no_listener')) > noListener);
  const answered = await counted('echo_answered');
  t.is((await lab.exec('client', 'ping', '-c', '1', '-W', '2', vips.l2[4])).code, 0);
  t.is(await counted('echo_answered'), answered + 1n);
});

test.serial('VLAN-tagged requests are forwarded with their tag', async (t) => {
  const { lab, client } = cluster;
  const object = fileURLToPath(new URL('./agent_vlan.bpf.o', import.meta.url));
  const filter = async (host: HostName, device: string, where: string, section: string): Promise<void> => {
    await lab.exec(host, 'tc', 'qdisc', 'add', 'dev', device, 'clsact');
    const program = ['bpf', 'direct-action', 'object-file', object, 'section', section];
    await lab.must(host, 'tc', 'filter', 'add', 'dev', device, where, ...program);
  };
  // A tag that waits in the descriptor for the card to insert it is not in the frame that XDP sees.
  for (const [host, device] of [
    ['router', 'eth1'],
    ['bridge', 'lb1'],
    ['bridge', 'lb2'],
  ] as const) {
    await lab.must(host, 'ethtool', '-K', device, 'txvlan', 'off');
  }
  for (const backend of backendNames) await filter(backend, 'eth0', 'ingress', 'pop');
  const [untagged] = await client.call('requests', { address: vips.vlan[4], port: 80, count: 1, timeoutMs: 300 });
  t.is(untagged!.error, 'timeout after 300 ms while connecting');

  await filter('router', 'eth1', 'egress', 'push');
  const before = await packets('vlan', 'TCP');
  const answers = await client.call('requests', { address: vips.vlan[4], port: 80, count: 40 });
  for (const { error, hello } of answers) t.like({ error, client: hello?.client }, { error: '', client: client4 });
  const after = await packets('vlan', 'TCP');
  for (const [i, count] of after.entries()) t.true(count > before[i]!);
});
