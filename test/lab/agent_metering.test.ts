import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import type { messages } from '../../src/api/client.js';
import { type Agent, metricOf } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { type ConfigInput, group, tcp, udp } from '../support/lab/desired.js';
import { vip4, vip6 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

/** The first addresses that these pools have to give are those that the lab's backends hold. */
const pools: ConfigInput['addressPools'] = [
  { name: 'inside', scope: 'PRIVATE', prefixes: ['10.9.0.0/30'] },
  { name: 'public', scope: 'PUBLIC', prefixes: ['192.0.2.8/29'], reserved: ['192.0.2.9'] },
  { name: 'public6', scope: 'PUBLIC', prefixes: ['2001:db8:10::/64'], reserved: ['2001:db8:10::/124'] },
];
const both = { addressRequest: { families: ['IPV4', 'IPV6'] } } as const;
const listeners = [udp(echoPort, 'servers'), tcp(80, 'servers')];
const site = (...others: NonNullable<ConfigInput['loadBalancers']>): ConfigInput => ({
  loadBalancers: [...others, { name: 'web', ...both, listeners }],
  backendGroups: [group('servers')],
  addressPools: pools,
});
/** Ethernet, IP, UDP and the sequence number that the client sends. */
const frameBytes = { [vip4]: 14 + 20 + 8 + 4, [vip6]: 14 + 40 + 8 + 4 };
const otherVip = '192.0.2.15';
let cluster: Cluster;
let small = '';

test.before(async () => {
  small = `/run/spillway/at-mt-${process.pid}-small`;
  mkdirSync(small, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'spillway-test', small]);
  cluster = await Cluster.start(`at-mt-${process.pid}`, {
    vips: [vip4, vip6, otherVip],
    settings: (host) => (host === 'lb2' ? { stateDirectory: small } : {}),
  });
});
test.after.always(async () => {
  await cluster?.close();
  execFileSync('umount', [small]);
  execFileSync('rmdir', [small]);
});

async function assigned(agent: Agent): Promise<Record<string, readonly string[]>> {
  const { config } = await agent.client.config.get();
  return Object.fromEntries(config!.loadBalancers.map((one) => [one.name, one.assignedAddresses]));
}

test.serial('a LoadBalancer without addresses is given them, the same on both nodes, and serves', async (t) => {
  const [agent] = cluster.agents;
  const dry = await agent.client.config.apply({ config: site(), validateOnly: true });
  t.true(dry.steps.includes(`add VIP ${vip4}`), dry.steps.join());
  t.is((await agent.client.config.get()).version, 0n);
  await cluster.apply(site());
  for (const one of cluster.agents) t.deepEqual(await assigned(one), { web: [vip4, vip6] });
  for (const address of [vip4, vip6]) {
    const answers = await cluster.client.call('requests', { address, port: 80, count: 20 });
    t.deepEqual(
      answers.map(({ error }) => error).filter((error) => error !== ''),
      [],
    );
  }
  const created = await agent.client.config.createLoadBalancer({ loadBalancer: { name: 'dns' } });
  t.deepEqual(created.assignedAddresses, ['192.0.2.11']);
  t.regex((await agent.spillway('get')).stdout, /assignedAddresses:\n\s+- 192\.0\.2\.11/);
  t.regex((await agent.spillway('status')).stdout, /web\/udp-7 +192\.0\.2\.10,2001:db8:10::10/);
  const { stdout } = await agent.spillway('addresses');
  t.regex(stdout, /^public +PUBLIC +IPV4 +5 +2 +0 +3$/m);
  t.regex(stdout, /^public6 +PUBLIC +IPV6 +18\.4E +1 +0 +18\.4E$/m);
  t.regex(stdout, /^192\.0\.2\.10 +public +web +given$/m);
});

test.serial('addresses stay over kill -9, another order and new neighbours; the wrong is refused whole', async (t) => {
  const [agent] = cluster.agents;
  await agent.kill('SIGKILL');
  await agent.start();
  t.deepEqual(await assigned(agent), { web: [vip4, vip6], dns: ['192.0.2.11'] });
  const names = ['a', 'b', 'c'];
  await agent.client.config.apply({ config: site(...names.map((name) => ({ name })), { name: 'dns' }) });
  const full = { a: ['192.0.2.12'], b: ['192.0.2.13'], c: ['192.0.2.14'], dns: ['192.0.2.11'], web: [vip4, vip6] };
  t.deepEqual(await assigned(agent), full);

  const { version } = await agent.client.config.get();
  const refusal = async (config: ConfigInput): Promise<string> => {
    const error = await t.throwsAsync(agent.client.config.apply({ config }));
    return (error as unknown as { violations: messages.RpcBadRequestFieldViolation[] }).violations
      .map(({ field, description }) => `${field}: ${description}`)
      .join('\n');
  };
  const tooMany = site(...[...names, 'd', 'e'].map((name) => ({ name })), { name: 'dns' });
  t.regex(
    await refusal(tooMany),
    /^loadBalancers\[3\]\.addressRequest: no free IPv4 address for "d" \(2 LoadBalancers without\): all in use, 5 of pool "public"/,
  );
  const shrunk = site(...names.map((name) => ({ name })), { name: 'dns' });
  t.regex(
    await refusal({
      ...shrunk,
      addressPools: [{ name: 'public', scope: 'PUBLIC', prefixes: ['192.0.2.8/30'] }, pools![2]!],
    }),
    /^addressPools\[0\]\.prefixes: pool "public" gives 192\.0\.2\.\d+ no more, but LoadBalancers? .*give them another pool/m,
  );
  t.deepEqual(await assigned(agent), full);
  t.is((await agent.client.config.get()).version, version);

  await agent.client.config.apply({ config: site() });
  await agent.kill('SIGKILL');
  await agent.start();
  const again = await agent.client.config.createLoadBalancer({ loadBalancer: { name: 'a' } });
  t.deepEqual(again.assignedAddresses, ['192.0.2.12'], 'all were given up at once: by name, the first');
  const next = await agent.client.config.createLoadBalancer({ loadBalancer: { name: 'e' } });
  t.deepEqual(next.assignedAddresses, ['192.0.2.13']);
  await agent.client.config.apply({ config: site() });
});

const added = ['packetsIn', 'bytesIn', 'packetsOut', 'bytesOut', 'newSessions'] as const;

/** Of `web`, all hours together, on a node. */
async function metered(agent: Agent): Promise<messages.MeteringRecord> {
  const { records } = await agent.client.metering.list({ loadBalancer: 'web' });
  const sum = { ...records[0]!, seconds: 0, peakSessions: 0n };
  for (const key of added) sum[key] = records.reduce((total, record) => total + record[key], 0n);
  for (const { seconds, peakSessions } of records) {
    sum.seconds += seconds;
    if (peakSessions > sum.peakSessions) sum.peakSessions = peakSessions;
  }
  return sum;
}

async function report(agent: Agent, sequence: bigint, packetsOut: bigint): Promise<void> {
  const usage = [
    { vip: vip4, packetsIn: 5n, bytesIn: 300n, packetsOut, bytesOut: packetsOut * 1400n },
    { vip: vip6, packetsIn: 5n, bytesIn: 400n, packetsOut: 1n, bytesOut: 90n },
    { vip: '198.51.100.77', packetsOut: 1_000_000n, bytesOut: 1_000_000_000n },
  ];
  const answer = await agent.client.metering.report({ reporter: 'be1', epoch: 'one', sequence, usage });
  if (answer.sequence !== sequence || answer.unknownVips.join() !== '198.51.100.77') throw new Error(`${answer}`);
}

test.serial('metering is exact to the packet under traffic, whatever kill -9 does to the agents', async (t) => {
  const { client, agents } = cluster;
  const before = await Promise.all(agents.map(metered));
  const flows = 8;
  for (const [as, address] of [
    ['four', vip4],
    ['six', vip6],
  ] as const) {
    await client.call('startEcho', { as, address, port: echoPort, flows, perSecond: 60 });
  }
  const flowing = async (packets: number): Promise<void> => {
    const have = (await client.call('echoReport', 'four')).received;
    await until('more traffic', async () => (await client.call('echoReport', 'four')).received > have + packets);
  };
  await flowing(300);
  await Promise.all(agents.map((agent) => report(agent, 1n, 17n)));
  for (const round of [2n, 3n]) {
    await Promise.all(agents.map((agent) => agent.kill('SIGKILL')));
    await flowing(200);
    await Promise.all(agents.map((agent) => agent.start()));
    // An answer that was lost makes a backend send again what was counted.
    await Promise.all(agents.map((agent) => report(agent, round - 1n, 17n * (round - 1n))));
    await flowing(200);
    await Promise.all(agents.map((agent) => report(agent, round, 17n * round)));
  }
  const [four, six] = [await client.call('stopEcho', 'four'), await client.call('stopEcho', 'six')];
  t.deepEqual([...four.missing.flat(), ...six.missing.flat()], [], 'no packet was lost');

  const after = await Promise.all(agents.map(metered));
  const sum = (of: (record: messages.MeteringRecord) => bigint): bigint =>
    after.reduce((total, record, i) => total + of(record) - of(before[i]!), 0n);
  t.is(
    sum(({ packetsIn }) => packetsIn),
    BigInt(four.sent + six.sent),
  );
  t.is(
    sum(({ bytesIn }) => bytesIn),
    BigInt(four.sent * frameBytes[vip4]! + six.sent * frameBytes[vip6]!),
  );
  t.is(
    sum(({ newSessions }) => newSessions),
    BigInt(2 * flows),
  );
  t.is(
    sum(({ packetsOut }) => packetsOut),
    2n * (17n + 34n + 51n + 3n),
  );
  t.is(
    sum(({ bytesOut }) => bytesOut),
    2n * (102n * 1400n + 270n),
  );
  const peaks = after.reduce((total, { peakSessions }) => total + peakSessions, 0n);
  t.true(peaks >= BigInt(2 * flows), `${peaks} sessions at the peaks of both nodes`);
  for (const { seconds } of after) t.true(seconds > 0 && seconds < 300, `${seconds} s`);

  const [agent] = agents;
  const scraped = await agent.scrape();
  const series = (direction: string): number =>
    metricOf(
      scraped,
      `spillway_backend_reported_bytes_total{load_balancer="web",vip="${vip4}",direction="${direction}"}`,
    );
  t.deepEqual([series('in'), series('out')], [900, 102 * 1400]);
  const lines = (await agent.spillway('metering', '--json', '--load-balancer', 'web')).stdout.trimEnd().split('\n');
  const printed = lines.map((line) => JSON.parse(line) as { packetsIn: string });
  t.is(
    printed.reduce((total, { packetsIn }) => total + BigInt(packetsIn), 0n),
    after[0]!.packetsIn,
  );
  t.regex((await agent.spillway('metering')).stdout, /^20\d\d-\d\d-\d\d \d\d:00Z +web +\d/m);
});

test.serial('a service that takes the number of one that went: each LoadBalancer has its own packets', async (t) => {
  const echo = async (address: string): Promise<bigint> => {
    const stream = { as: 'short', address, port: echoPort, flows: 4, perSecond: 100 };
    await cluster.client.call('startEcho', stream);
    await until('echoes', async () => (await cluster.client.call('echoReport', 'short')).received > 80);
    const { sent, missing } = await cluster.client.call('stopEcho', 'short');
    t.deepEqual(missing.flat(), []);
    return BigInt(sent);
  };
  const packetsOf = async (name: string): Promise<bigint> => {
    const lists = await Promise.all(cluster.agents.map(({ client }) => client.metering.list({ loadBalancer: name })));
    return lists.flatMap(({ records }) => records).reduce((sum, { packetsIn }) => sum + packetsIn, 0n);
  };
  const web = await packetsOf('web');
  const sent = await echo(vip4);
  const withoutUdp = { name: 'web', ...both, listeners: [tcp(80, 'servers')] };
  const other = { name: 'other', addresses: [otherVip], listeners: [udp(echoPort, 'servers')] };
  const next = { config: { ...site(), loadBalancers: [other, withoutUdp] } };
  for (const { client } of cluster.agents) {
    const { steps } = await client.config.apply({ config: { ...site(), loadBalancers: [withoutUdp] } });
    const gone = steps.flatMap((step) => /^clear service (\d+)$/.exec(step)?.[1] ?? []);
    t.is(gone.length, 2, steps.join());
    await until('a number that went is free', async () => {
      const { steps: planned } = await client.config.apply({ ...next, validateOnly: true });
      return gone.some((id) => planned.includes(`write service ${id}`));
    });
  }
  await cluster.apply(next.config);
  const otherSent = await echo(otherVip);
  t.is(await packetsOf('web'), web + sent);
  t.is(await packetsOf('other'), otherSent);
});

test.serial(
  'a full disk: metering goes on in memory, says so, acknowledges no report, and loses nothing',
  async (t) => {
    const agent = cluster.agents[1];
    const filler = `${small}/filler`;
    fill(filler);
    await t.throwsAsync(report(agent, 4n, 1n), { message: /metering cannot be saved .* the disk is full/ });
    const { problems } = await agent.client.status.get({ summary: true });
    t.regex(problems.join('\n'), /metering cannot be saved to .*: the disk is full: free some space .*kept in memory/);
    const before = await metered(agent);
    await agent.kill('SIGKILL');
    execFileSync('rm', [filler]);
    await agent.start();
    await report(agent, 4n, 1n);
    const after = await metered(agent);
    t.is(after.packetsOut, before.packetsOut, 'counted in memory before, and once now');
    t.is(after.packetsIn, before.packetsIn);
    t.deepEqual((await agent.client.status.get({ summary: true })).problems, []);
    t.true(readdirSync(`${small}/metering`).includes('state.json'));
  },
);

test.serial('what flowed since the agent ended is metered by spillwayd --detach', async (t: ExecutionContext) => {
  const [agent] = cluster.agents;
  await cluster.apply(site());
  const before = await metered(agent);
  await agent.kill('SIGKILL');
  const loadBalancer = async (): Promise<number> => {
    const answers = await cluster.client.call('requests', { address: vip4, port: 80, count: 30 });
    return answers.filter(({ error }) => error === '').length;
  };
  t.is(await loadBalancer(), 30);
  t.is((await agent.run('--detach')).code, 0);
  await agent.start();
  const after = await metered(agent);
  t.true(after.packetsIn > before.packetsIn, `${after.packetsIn - before.packetsIn} packets`);
  t.regex(readFileSync(`${agent.stateDirectory}/metering/state.json`, 'utf8'), /"outbox":\[\]/);
});

/** Leaves no block free. */
function fill(path: string): void {
  const { bavail, bsize } = statfsSync(small);
  try {
    writeFileSync(path, Buffer.alloc((bavail + 8) * bsize));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
