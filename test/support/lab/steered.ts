/** What has to work whatever interface, VLAN or mode packets come in and leave by: the tests of test/lab/agent_egress*. */
import anyTest, { type TestFn } from 'ava';
import { Cluster, type ClusterOptions, echoPort } from './cluster.js';
import type { ForwardingName } from './desired.js';
import { group, quickCheck, tcp, udp } from './desired.js';
import { backendNames, client4, client6, type HostName } from './lab.js';
import { patience, until } from './until.js';

export interface Site extends ClusterOptions {
  readonly name: string;
  /** What the backends get packets by: where their decapsulator belongs. */
  readonly backendInterface: string;
  /** What `spillway backends` has to say of each backend on the second network. */
  readonly egress: { readonly egressInterface: string; readonly egressVlan: number };
  /** Names of those to try; all when left out. */
  readonly ways?: readonly WayName[];
}

type WayName = 'l2' | 'ipip4' | 'ipip6' | 'gue4' | 'gue6';

interface Way {
  readonly name: WayName;
  readonly vips: readonly string[];
  readonly forwarding: ForwardingName;
  readonly family: 4 | 6;
}

/** Each VIP is reached by one way; the backends are on the second network. */
const allWays: readonly Way[] = [
  { name: 'l2', vips: ['192.0.2.10', '2001:db8:10::10'], forwarding: 'L2_DSR', family: 4 },
  { name: 'ipip4', vips: ['192.0.2.11', '2001:db8:10::11'], forwarding: 'IPIP', family: 4 },
  { name: 'ipip6', vips: ['192.0.2.12', '2001:db8:10::12'], forwarding: 'IPIP', family: 6 },
  { name: 'gue4', vips: ['192.0.2.13', '2001:db8:10::13'], forwarding: 'GUE', family: 4 },
  { name: 'gue6', vips: ['192.0.2.14', '2001:db8:10::14'], forwarding: 'GUE', family: 6 },
];
/** An emulated machine does a little of the same. */
const mirrored = patience > 1 ? 256 * 1024 : 4 * 1024 * 1024;
const echo = patience > 1 ? { flows: 6, perSecond: 5, enough: 30 } : { flows: 12, perSecond: 50, enough: 120 };

function waysOf(site: Site): readonly Way[] {
  return allWays.filter(({ name }) => site.ways?.includes(name) ?? true);
}

export async function startSite(site: Site): Promise<Cluster> {
  const ways = waysOf(site);
  const vips = ways.flatMap((way) => way.vips);
  const cluster = await Cluster.start(`${site.name}-${process.pid}`, { vips, ...site });
  try {
    const { lab } = cluster;
    for (const backend of backendNames) {
      const instance = `${lab.name}-${backend}`;
      const words = ['backend', 'attach', '--interface', site.backendInterface, '--instance', instance];
      await lab.must(backend, 'spillway', ...words);
    }
    await cluster.apply({
      loadBalancers: ways.map(({ name, vips: addresses }) => ({
        name,
        addresses,
        listeners: [tcp(80, name, { healthCheck: quickCheck }), udp(echoPort, name)],
      })),
      backendGroups: ways.map(({ name, forwarding, family }) => group(name, { forwarding, family, network: 'back' })),
    });
    await cluster.allHealthy();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Packets of a LoadBalancer's listener for `protocol`, on each node. */
export async function packets(cluster: Cluster, loadBalancer: string, protocol: 'TCP' | 'UDP'): Promise<bigint[]> {
  return await Promise.all(
    cluster.agents.map(async ({ client }) => {
      const { listeners } = await client.status.get({ summary: true });
      return listeners.find((one) => one.loadBalancer === loadBalancer && one.protocol === protocol)!.traffic!.packets;
    }),
  );
}

/** Declares the tests. `cluster`: once it is there. */
export function testSite(site: Site, cluster: () => Cluster, test: TestFn = anyTest as TestFn): void {
  for (const { name, vips, forwarding, family } of waysOf(site)) {
    for (const vip of vips) {
      const client = vip.includes(':') ? client6 : client4;
      const title = `${site.name}: ${vip} by ${forwarding} to IPv${family} backends`;

      test.serial(
        `${title}: requests over both load balancers reach all backends with the client's address`,
        async (t) => {
          const before = await packets(cluster(), name, 'TCP');
          const answers = await cluster().client.call('requests', { address: vip, port: 80, count: 60 });
          for (const { error, hello } of answers) t.like({ error, client: hello?.client }, { error: '', client });
          t.deepEqual([...new Set(answers.map(({ hello }) => hello?.backend))].sort(), [...backendNames]);
          const after = await packets(cluster(), name, 'TCP');
          for (const [i, count] of after.entries()) t.true(count - before[i]! >= 30n, `${count - before[i]!} packets`);
        },
      );

      test.serial(`${title}: uploads and downloads arrive byte by byte, and so do datagrams`, async (t) => {
        const answers = await Promise.all(
          backendNames.map(() => cluster().client.call('mirror', { address: vip, port: 80, bytes: mirrored })),
        );
        for (const answer of answers) t.like(answer, { received: mirrored, same: true });
        const as = title;
        await cluster().client.call('startEcho', { as, address: vip, port: echoPort, ...echo });
        const received = async (): Promise<number> => (await cluster().client.call('echoReport', as)).received;
        await until('datagrams come back', async () => (await received()) >= echo.enough);
        const report = await cluster().client.call('stopEcho', as);
        t.deepEqual(report.missing.flat(), []);
        t.is(report.duplicates, 0);
        t.deepEqual(report.clients, [client]);
      });
    }
  }

  test.serial(`${site.name}: status tells the way out of each backend, and nothing is amiss`, async (t) => {
    for (const { client } of cluster().agents) {
      const { listeners, problems, reasons } = await client.status.get({ summary: false });
      t.deepEqual(problems, []);
      for (const { backends } of listeners)
        for (const backend of backends) t.like(backend, { up: true, ...site.egress });
      t.is(reasons.find(({ reason }) => reason === 'egress')!.packets, 0n);
    }
  });
}

/** Runs ip(8) on a host. */
export async function ip(cluster: Cluster, host: HostName, ...words: readonly string[]): Promise<string> {
  return await cluster.lab.must(host, 'ip', ...words);
}
