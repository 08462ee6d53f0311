/** ICMP, fragments and the sizes of packets, over every way of forwarding, with nothing set by hand for them. */
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { metricOf } from '../support/lab/agent.js';
import type { Hello } from '../support/lab/backend.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, tcp, udp } from '../support/lab/desired.js';
import { backendNames, client4, client6, type HostName } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const MIB = 1024 * 1024;
const vip4 = (n: number): string => `192.0.2.${n}`;
const vip6 = (n: number): string => `2001:db8:10::${n}`;
/** Each way of forwarding: what it puts in front of a packet, and the last number of its VIPs. */
const ways = [
  { name: 'L2_DSR', forwarding: 'L2_DSR', family: 4, outerBytes: 0, number: 10 },
  { name: 'IPIP over IPv4', forwarding: 'IPIP', family: 4, outerBytes: 20, number: 11 },
  { name: 'IPIP over IPv6', forwarding: 'IPIP', family: 6, outerBytes: 40, number: 12 },
  { name: 'GUE over IPv4', forwarding: 'GUE', family: 4, outerBytes: 28, number: 13 },
  { name: 'GUE over IPv6', forwarding: 'GUE', family: 6, outerBytes: 48, number: 14 },
] as const;
const everyVip = ways.flatMap(({ number }) => [vip4(number), vip6(number)]);
const script = fileURLToPath(new URL('../../../test/support/lab/send_fragments.py', import.meta.url));
let cluster: Cluster;

test.before(async () => {
  cluster = await Cluster.start(`pm-${process.pid}`, { vips: everyVip });
  const { lab } = cluster;
  for (const backend of backendNames) {
    const instance = `${lab.name}-${backend}`;
    const attach = ['backend', 'attach', '--interface', 'eth0', '--instance', instance, '--clamp-mss', 'off'];
    await lab.must(backend, 'spillway', ...attach);
  }
  await cluster.apply({
    loadBalancers: ways.map(({ number }) => ({
      name: `lb-${number}`,
      addresses: [vip4(number), vip6(number)],
      listeners: [tcp(80, `to-${number}`), udp(echoPort, `to-${number}`)],
    })),
    backendGroups: ways.map(({ number, forwarding, family }) => group(`to-${number}`, { forwarding, family })),
  });
});
test.after.always(() => cluster?.close());

/** Counts of a reason over both load balancers. */
async function reason(word: string): Promise<number> {
  const states = await Promise.all(cluster.agents.map(({ client }) => client.status.get({ summary: true })));
  return states.reduce((sum, { reasons }) => sum + Number(reasons.find((one) => one.reason === word)?.packets ?? 0), 0);
}

test.serial('every VIP answers pings, large and small', async (t) => {
  const before = await reason('echo_answered');
  for (const vip of everyVip) {
    for (const bytes of ['8', '56', '1400']) {
      const out = await cluster.lab.must('client', 'ping', '-n', '-c', '2', '-i', '0.01', '-W', '2', '-s', bytes, vip);
      t.regex(out, / 2 received/);
    }
  }
  t.is((await reason('echo_answered')) - before, everyVip.length * 6);
});

interface Sent {
  readonly error?: string;
  readonly same?: boolean;
  readonly hello?: Hello;
  readonly fragments?: number;
}

async function sendFragments(vip: string, order: string, delayMs = 0): Promise<Sent> {
  const source = vip.includes(':') ? client6 : client4;
  const words = ['python3', script, source, vip, `${echoPort}`, '8000', order, `${delayMs}`];
  return JSON.parse(await cluster.lab.must('client', ...words)) as Sent;
}

function cameWhole(t: ExecutionContext, answer: Sent, what: string): void {
  t.like(answer, { same: true, fragments: 6 }, `${what}: ${JSON.stringify(answer)}`);
}

async function earlyFragments(result: string): Promise<number> {
  const series = `spillway_early_fragments_total{result="${result}"}`;
  const scrapes = await Promise.all(cluster.agents.map((agent) => agent.scrape()));
  return scrapes.reduce((sum, text) => sum + (text.includes(series) ? metricOf(text, series) : 0), 0);
}

test.serial(
  'backends learn by ICMP what reaches the client, though their own network takes larger packets',
  async (t) => {
    const known = new Set<string>();
    await until(
      'each has got an answer of 8 kB through',
      async () => {
        const { hello } = await sendFragments(vip6(10), 'forward');
        if (hello) known.add(hello.backend);
        return known.size === backendNames.length;
      },
      { withinMs: 60_000 },
    );
    for (const backend of backendNames) t.is(await learned(backend, client6), 1500);
  },
);

for (const { name, number } of ways) {
  test.serial(`${name}: a datagram of 8 kB arrives in fragments, in order and not`, async (t) => {
    for (const vip of [vip4(number), vip6(number)]) {
      for (let n = 0; n < 5; n++) cameWhole(t, await sendFragments(vip, 'forward'), `${vip} forward`);
      const before = await earlyFragments('sent');
      for (const order of ['reversed', 'first-last'])
        for (const delayMs of [0, 100])
          cameWhole(t, await sendFragments(vip, order, delayMs), `${vip} ${order} ${delayMs}`);
      /* With no delay some may wait for the first in the ring already; after 100 ms all have been held. */
      t.true((await earlyFragments('sent')) - before >= 10, 'the agent sent on what came early');
    }
  });
}

test.serial('a datagram whose first fragment never comes is given up', async (t) => {
  const [before, early] = [await earlyFragments('expired'), await reason('fragment_early')];
  const answer = await sendFragments(vip4(10), 'first-last', 1500);
  t.truthy(answer.error, 'the first came when the others had been given up');
  t.is((await earlyFragments('expired')) - before, 5);
  t.is((await reason('fragment_early')) - early, 5);
});

/** A counter of a host's kernel, of both families together. */
async function counter(host: HostName, name: `${'Icmp' | 'Udp'}:${string}`): Promise<number> {
  const snmp = await cluster.lab.must(host, 'cat', '/proc/net/snmp', '/proc/net/snmp6');
  const [protocol, word] = name.split(':') as [string, string];
  const [names, values] = snmp.split('\n').filter((line) => line.startsWith(`${protocol}:`));
  const v4 = Number(values!.split(' ')[names!.split(' ').indexOf(word)]);
  const v6 = new RegExp(`^${protocol}6${word}\\s+(\\d+)`, 'm').exec(snmp);
  return v4 + Number(v6?.[1] ?? Number.NaN);
}

const perBackend = (name: `${'Icmp' | 'Udp'}:${string}`): Promise<number[]> =>
  Promise.all(backendNames.map((backend) => counter(backend, name)));
const grown = (after: readonly number[], before: readonly number[]): number[] =>
  after.map((count, i) => count - before[i]!);
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** Asks and does not listen any more: what comes back meets no socket, and the client's kernel says so. */
const askAndLeave = `
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for n in range(20):
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    one.close()
    time.sleep(0.06)
`;

for (const { name, number } of ways) {
  test.serial(`${name}: "unreachable" of the client's reaches the backends that it is about`, async (t) => {
    for (const vip of [vip4(number), vip6(number)]) {
      const told = await counter('client', 'Icmp:OutDestUnreachs');
      const [heard, answered] = [await perBackend('Icmp:InDestUnreachs'), await perBackend('Udp:OutDatagrams')];
      await cluster.lab.must('client', 'python3', '-c', askAndLeave, vip, `${echoPort}`);
      /* A kernel sends such errors at a limited rate: fewer than were deserved. */
      const hears = await until(`the backends hear all that the client tells them (${vip})`, async () => {
        const counts = grown(await perBackend('Icmp:InDestUnreachs'), heard);
        const sent = (await counter('client', 'Icmp:OutDestUnreachs')) - told;
        return sent > 0 && sum(counts) === sent ? counts : null;
      });
      const answers = grown(await perBackend('Udp:OutDatagrams'), answered);
      for (const [i, count] of hears.entries())
        t.true(count <= answers[i]!, `${vip}: ${backendNames[i]} hears ${count} times and answered ${answers[i]}`);
    }
    t.is(await reason('icmp_no_flow'), 0);
  });
}

async function setMtu(host: HostName, device: string, mtu: number): Promise<void> {
  await cluster.lab.must(host, 'ip', 'link', 'set', device, 'mtu', `${mtu}`);
}

/** The MTU of the route that a host has learned. */
async function learned(host: HostName, to: string): Promise<number> {
  const out = await cluster.lab.must(host, 'ip', 'route', 'get', to);
  return Number(/ mtu (?:lock )?(\d+)/.exec(out)?.[1] ?? 0);
}

async function mirrored(t: ExecutionContext, vip: string, mib: number): Promise<void> {
  const bytes = mib * MIB;
  const { same, received } = await cluster.client.call('mirror', { address: vip, port: 80, bytes });
  t.is(received, bytes, vip);
  t.true(same, vip);
}

test.serial('from here on the network takes 1500 bytes everywhere', async (t) => {
  const { lab } = cluster;
  for (const port of ['router', 'lb1', 'lb2', ...backendNames]) await setMtu('bridge', port, 1500);
  for (const host of ['lb1', 'lb2', ...backendNames] as const) await setMtu(host, 'eth0', 1500);
  await setMtu('router', 'eth1', 1500);
  await lab.must('bridge', 'ip', 'link', 'set', 'br0', 'mtu', '1500');
  t.is(await learned('client', vip4(11)), 0, 'and nobody has been told of less');
});

for (const { name, number, outerBytes } of ways) {
  test.serial(`${name}: 64 MiB there and back at MTU 1500, with no segment size set by hand`, async (t) => {
    for (const [vip, mib] of [
      [vip4(number), 64],
      [vip6(number), 64],
    ] as const) {
      const before = await reason('too_big_answered');
      await mirrored(t, vip, mib);
      t.is(await learned('client', vip), outerBytes > 0 ? 1500 - outerBytes : 0, `${vip}: what the client has learned`);
      t.is((await reason('too_big_answered')) > before, outerBytes > 0);
    }
  });
}

test.serial('a narrow network on the way back: backends learn of it by ICMP through the load balancer', async (t) => {
  await setMtu('router', 'eth0', 1320);
  for (const { number } of ways) {
    for (const vip of [vip4(number), vip6(number)]) await mirrored(t, vip, 1);
  }
  for (const client of [client4, client6]) {
    const known = await Promise.all(backendNames.map((backend) => learned(backend, client)));
    t.true(known.includes(1320), `${client}: ${known.join(' ')}`);
  }
  await setMtu('router', 'eth0', 1500);
});
