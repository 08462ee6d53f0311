/**
 * The backend's side behind real load balancers, on a network of MTU 1500 and with no VIP on any backend: ports are
 * mapped, clients are offered segments that fit, and what the backends send is metered by the agents.
 */
import anyTest, { type TestFn } from 'ava';
import { Cluster } from '../support/lab/cluster.js';
import { type ForwardingName, group, quickCheck, tcp } from '../support/lab/desired.js';
import { address4, address6, type BackendName, backendNames, client4, client6 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const MIB = 1 << 20;
const test = anyTest.serial as TestFn;

interface Way {
  readonly name: string;
  readonly vips: readonly [string, string];
  readonly forwarding: ForwardingName;
  readonly family: 4 | 6;
  /** Of the application, on each backend's own addresses. */
  readonly port: number;
}

const ways: readonly Way[] = (
  [
    ['l2', 'L2_DSR', 4],
    ['ipip4', 'IPIP', 4],
    ['ipip6', 'IPIP', 6],
    ['gue4', 'GUE', 4],
    ['gue6', 'GUE', 6],
  ] as const
).map(([name, forwarding, family], i) => ({
  name,
  vips: [`192.0.2.${10 + i}`, `2001:db8:10::${10 + i}`],
  forwarding,
  family,
  port: 8001 + i,
}));
/** IPv4 outer headers take IPv4 packets alone. */
const vipsOf = ({ forwarding, family, vips }: Way): readonly string[] =>
  forwarding === 'IPIP' && family === 4 ? vips.slice(0, 1) : vips;

let cluster: Cluster;
const instanceOf = (backend: BackendName): string => `${cluster.lab.name}-${backend}`;

test.before(async () => {
  cluster = await Cluster.start(`bc-${process.pid}`, {
    http: ways.map(({ port }) => port),
    vips: [],
    topology: { mtu: 1500 },
  });
  const { lab } = cluster;
  for (const backend of backendNames) {
    for (const family of ['-4', '-6'])
      await lab.must(backend, 'ip', family, 'address', 'flush', 'dev', 'lo', 'scope', 'global');
    const maps = ways.flatMap(({ vips: [vip4, vip6], port }) => [
      `tcp:${vip4}:80=${address4[backend]}:${port}`,
      `tcp:[${vip6}]:80=[${address6[backend]}]:${port}`,
    ]);
    const own = ['--interface', 'eth0', '--instance', instanceOf(backend)];
    await lab.must(backend, 'spillway', 'backend', 'attach', ...own, '--map', ...maps);
  }
  await cluster.apply({
    loadBalancers: ways.map((way) => ({
      name: way.name,
      addresses: vipsOf(way),
      listeners: [tcp(80, way.name, { healthCheck: quickCheck })],
    })),
    backendGroups: ways.map(({ name, forwarding, family, port }) => {
      const made = group(name, { forwarding, family });
      return { ...made, portMapping: true, backends: made.backends!.map((backend) => ({ ...backend, port })) };
    }),
  });
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

for (const way of ways) {
  test(`${way.name}: port 80 of the VIPs is served by port ${way.port} of hosts that have no VIP, to clients by their address`, async (t) => {
    for (const vip of vipsOf(way)) {
      const answers = await cluster.client.call('requests', { address: vip, port: 80, count: 30 });
      for (const { error, hello } of answers) {
        t.like({ error, client: hello?.client }, { error: '', client: vip.includes(':') ? client6 : client4 }, vip);
      }
      t.deepEqual([...new Set(answers.map(({ hello }) => hello?.backend))].sort(), [...backendNames], vip);
    }
  });

  test(`${way.name}: 64 MiB there and back at MTU 1500 arrive byte by byte, with nothing set for it`, async (t) => {
    for (const [i, vip] of vipsOf(way).entries()) {
      const bytes = i === 0 ? 64 * MIB : 8 * MIB;
      const startedMs = performance.now();
      const answer = await cluster.client.call('mirror', { address: vip, port: 80, bytes });
      t.like(answer, { received: bytes, same: true }, vip);
      t.log(`${vip}: ${bytes / MIB} MiB each way in ${(performance.now() - startedMs).toFixed(0)} ms`);
    }
  });
}

test("what backends send is metered by the agents, each LoadBalancer's own", async (t) => {
  const { lab, agents } = cluster;
  const reported = async () => {
    for (const backend of backendNames) {
      const to = agents.map(({ socket }) => `unix:${socket}`).join(',');
      const state = `${lab.directory('reports')}/${backend}.json`;
      const own = ['--reporter', backend, '--instance', instanceOf(backend), '--state', state];
      await lab.must(backend, 'spillway', 'backend', 'report', '--to', to, '--once', ...own);
    }
  };
  const metered = async (name: string) => {
    const answers = await Promise.all(agents.map(({ client }) => client.metering.list({ loadBalancer: name })));
    const records = answers.flatMap(({ records: some }) => some);
    return {
      out: records.reduce((sum, one) => sum + Number(one.bytesOut), 0),
      in: records.reduce((sum, one) => sum + Number(one.bytesIn), 0),
    };
  };
  await reported();
  for (const way of ways) {
    const carried = (64 + (vipsOf(way).length - 1) * 8) * MIB;
    await until(`${way.name} is metered`, async () => (await metered(way.name)).out > carried);
    const { out, in: came } = await metered(way.name);
    // Headers, acknowledgements and health checks beside the data.
    t.true(out < carried * 1.15, `${way.name}: ${out} bytes out`);
    t.true(came > carried && came < carried * 1.15, `${way.name}: ${came} bytes in`);
  }
});

test('the doctor finds nothing wrong on any backend', async (t) => {
  for (const backend of backendNames) {
    const own = ['--interface', 'eth0', '--instance', instanceOf(backend), '--lb', '203.0.113.11', '203.0.113.12'];
    const { code, stdout, stderr } = await cluster.lab.exec(backend, 'spillway', 'backend', 'doctor', ...own);
    t.is(code, 0, `${stdout}${stderr}`);
  }
});
