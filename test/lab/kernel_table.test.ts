/** Routes of a kernel table, and a BIRD whose configuration is not ours that announces them. */
import anyTest, { type TestFn } from 'ava';
import type { KernelTableConfig } from '../../src/config/cluster.js';
import type { AnnouncerMethods } from '../support/lab/announcer.js';
import { BirdLab, NODE_AS, ROUTER_AS, route } from '../support/lab/bird_lab.js';
import type { Peer } from '../support/lab/peer.js';
import { until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const config: KernelTableConfig = { kind: 'kernel', table: 83, protocol: 83, primaryMetric: 100, secondaryMetric: 200 };
const vip4 = '192.0.2.10';
const vip6 = '2001:db8:10::10';
const both = [route(vip4), route(vip6)];
const bothPrefixes = [`${vip4}/32`, `${vip6}/128`];
let lab: BirdLab;
let node: Peer<AnnouncerMethods>;

/** As in src/bgp/README.md. */
const external = `router id 10.91.1.1;
protocol device { }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }

ipv4 table vips4;
ipv6 table vips6;
protocol kernel vips_in4 { kernel table 83; learn; ipv4 { table vips4; import all; export none; }; }
protocol kernel vips_in6 { kernel table 83; learn; ipv6 { table vips6; import all; export none; }; }

filter vips_out {
  if defined(krt_metric) && krt_metric >= 200 then { bgp_path.prepend(${NODE_AS}); bgp_path.prepend(${NODE_AS}); bgp_med = 100; }
  accept;
}
protocol bgp router4 {
  local as ${NODE_AS}; neighbor 10.91.1.2 as ${ROUTER_AS}; bfd on; graceful restart off;
  connect delay time 1; error wait time 1, 3;
  ipv4 { table vips4; import none; export filter vips_out; next hop self; };
}
protocol bgp router6 {
  local as ${NODE_AS}; neighbor fd91:1::2 as ${ROUTER_AS}; bfd on; graceful restart off;
  connect delay time 1; error wait time 1, 3;
  ipv6 { table vips6; import none; export filter vips_out; next hop self; };
}
`;

async function learn(...prefixes: string[]): Promise<number> {
  const startedMs = performance.now();
  await until(`the router to have ${prefixes.join(' ') || 'nothing'}`, async () => {
    return (await lab.learnt('node1')).join() === prefixes.sort().join();
  });
  return Math.round(performance.now() - startedMs);
}

/** "blackhole 192.0.2.10 metric 100 proto 83", of both families. */
async function table(): Promise<string[]> {
  const lines: string[] = [];
  for (const family of ['-4', '-6']) {
    const text = await lab.inside('node1', 'ip', '-j', '-d', family, 'route', 'show', 'table', '83');
    for (const one of JSON.parse(text) as Record<string, unknown>[]) {
      lines.push(`${one['type']} ${one['dst']} metric ${one['metric'] ?? 0} proto ${one['protocol']}`);
    }
  }
  return lines.sort();
}

const line = (vip: string, metric = 100): string => `blackhole ${vip} metric ${metric} proto 83`;
const ip = (...words: readonly string[]): Promise<string> => lab.inside('node1', 'ip', ...words);

test.before(async () => {
  lab = await BirdLab.up('krnl', { routerBgp: 'debug { states, routes };' });
  await lab.startBird('node1', 'external', external);
  node = lab.announcer('node1');
});

test.after.always(async () => {
  await lab?.down();
});

test.afterEach.always(async (t) => {
  if (!t.passed) t.log(await node.call('log'), await node.call('status'), await table());
});

test('routes are in the table, and a BIRD that learns them announces both families', async (t) => {
  t.deepEqual(await node.call('open', config), {
    kind: 'kernel',
    announced: [],
    neighbors: [],
    engine: (await node.call('status')).engine,
    problems: [],
  });
  t.like(await node.call('set', both), { error: '' });
  t.deepEqual(await table(), [line(vip4), line(vip6)]);
  t.deepEqual((await node.call('status')).announced, both);
  t.log(`learnt after ${await learn(...bothPrefixes)} ms, with the making of the sessions`);
});

test('a withdrawal and an announcement are at the router at once', async (t) => {
  t.like(await node.call('set', [route(vip6)]), { error: '' });
  t.log(`withdrawn after ${await learn(`${vip6}/128`)} ms`);
  t.like(await node.call('set', both), { error: '' });
  t.log(`announced after ${await learn(...bothPrefixes)} ms`);
  t.deepEqual(await table(), [line(vip4), line(vip6)]);
});

test('100 VIPs come and go one at a time, and the routes of others never flap', async (t) => {
  const logged = lab.read('router', 'bird.log').length;
  const vips = Array.from({ length: 50 }, (_, i) => [`198.51.100.${i + 1}`, `2001:db8:51::${i + 1}`]).flat();
  await node.call(
    'setInTurn',
    vips.map((_, count) => [...both, ...vips.slice(0, count + 1).map((vip) => route(vip))]),
  );
  t.is((await table()).length, 102);
  await until('102 routes', async () => (await lab.learnt('node1')).length === 102);
  await node.call(
    'setInTurn',
    vips.map((_, count) => [...both, ...vips.slice(count + 1).map((vip) => route(vip))]),
  );
  await learn(...bothPrefixes);
  const lines = lab.read('router', 'bird.log').slice(logged).split('\n');
  t.deepEqual(
    lines.filter((one) => bothPrefixes.some((prefix) => one.includes(` ${prefix} `))),
    [],
  );
});

test('a preference that changes is another metric, and the route is never away', async (t) => {
  const logged = lab.read('router', 'bird.log').length;
  await node.call('set', [route(vip4, { preference: 'secondary' }), route(vip6, { preference: 'secondary' })]);
  t.deepEqual(await table(), [line(vip4, 200), line(vip6, 200)]);
  for (const prefix of bothPrefixes) {
    await until('the path to be longer', async () => /as_path: 65001 65001 65001\n/.test(await lab.routeAt(prefix)));
  }
  await node.call('set', both);
  for (const prefix of bothPrefixes) {
    await until('the path to be short', async () => /as_path: 65001\n/.test(await lab.routeAt(prefix)));
  }
  t.notRegex(lab.read('router', 'bird.log').slice(logged), /removed/);
});

test('a route that somebody removes comes back at once', async (t) => {
  const { repairs } = (await node.call('status')).engine!;
  for (const [family, vip] of [
    ['-4', vip4],
    ['-6', vip6],
  ] as const) {
    await ip(family, 'route', 'del', 'blackhole', vip, 'table', '83');
    await until('it to be back', async () => (await table()).length === 2, { withinMs: 1000 });
  }
  t.is((await node.call('status')).engine!.repairs, repairs + 2);
});

test('strays of our protocol are removed, and nobody else is touched', async (t) => {
  const others = [
    ['-4', 'blackhole', '203.0.113.9/32', 'proto', 'static'],
    ['-6', 'blackhole', '2001:db8:9::9/128', 'proto', 'static', 'metric', '7'],
    ['-4', 'unreachable', 'default', 'proto', '84'],
  ];
  const strays = [
    ['-4', 'blackhole', '203.0.113.1/32', 'proto', '83', 'metric', '100'],
    ['-4', 'unreachable', '203.0.113.2/32', 'proto', '83'],
    ['-4', '203.0.113.0/28', 'dev', 'eth0', 'proto', '83', 'metric', '9'],
    ['-4', 'default', 'via', '10.91.1.2', 'proto', '83', 'metric', '1'],
    ['-6', 'blackhole', '2001:db8:9::1/128', 'proto', '83', 'metric', '100'],
    ['-6', '2001:db8:9::/64', 'via', 'fd91:1::2', 'proto', '83'],
    ['-6', 'prohibit', 'default', 'proto', '83', 'metric', '3'],
    ['-4', 'blackhole', vip4, 'proto', '83', 'metric', '300'],
  ];
  for (const [family, ...words] of others) await ip(family!, 'route', 'add', ...words, 'table', '83');
  const expected = [...(await table())];
  t.is(expected.length, 5);
  for (const [family, ...words] of strays) await ip(family!, 'route', 'add', ...words, 'table', '83');
  await until('the strays to be gone', async () => (await table()).join() === expected.join(), { withinMs: 2000 });
  // Ours in another table is nobody's business.
  await ip('-4', 'route', 'add', 'blackhole', '203.0.113.1/32', 'proto', '83', 'table', '84');
  await node.call('set', [route(vip6)]);
  t.is((await ip('-4', 'route', 'show', 'table', '84')).trim(), 'blackhole 203.0.113.1 proto 83');
  await node.call('set', both);
  t.deepEqual(await table(), expected);
  for (const [family, ...words] of others) await ip(family!, 'route', 'del', ...words, 'table', '83');
});

test('where somebody else has the very route, that is said, and the others are set', async (t) => {
  await node.call('set', []);
  await ip('-4', 'route', 'add', 'blackhole', vip4, 'proto', 'static', 'metric', '100', 'table', '83');
  const { error } = await node.call('set', both);
  const words = `${vip4}/32 with metric 100 in table 83 is there already, put there by somebody else: remove it, or choose another table`;
  t.is(error, `UnavailableError: ${words}`);
  const status = await node.call('status');
  t.deepEqual(status.problems, [words]);
  t.deepEqual(status.announced, [route(vip6)]);
  await ip('-4', 'route', 'del', 'blackhole', vip4, 'proto', 'static', 'metric', '100', 'table', '83');
  await until('it to be ours', async () => (await node.call('status')).problems.length === 0);
  t.deepEqual(await table(), [line(vip4), line(vip6)]);
});

test('an agent that was killed leaves its routes, and the next one takes them up', async (t) => {
  await learn(...bothPrefixes);
  const logged = lab.read('router', 'bird.log').length;
  await node.close();
  node = lab.announcer('node1');
  t.deepEqual((await node.call('open', config)).announced, both);
  t.like(await node.call('set', both), { error: '' });
  t.is(lab.read('router', 'bird.log').slice(logged), '');
});

test('closed to stay, routes stay; closed to withdraw, they are gone', async (t) => {
  t.is(await node.call('close', { withdraw: false }), '');
  t.deepEqual(await table(), [line(vip4), line(vip6)]);
  await node.call('open', config);
  t.is(await node.call('close', { withdraw: true }), '');
  t.deepEqual(await table(), []);
  await learn();
});

test('1,000 VIPs are set and withdrawn', async (t) => {
  await node.call('open', config);
  const many = Array.from({ length: 1000 }, (_, i) =>
    route(i % 2 ? `198.18.${i >> 8}.${i & 255}` : `2001:db8:52::${i}`),
  );
  const set = await node.call('set', many);
  t.is(set.error, '');
  t.is((await table()).length, 1000);
  const withdrawn = await node.call('set', []);
  t.log(`set in ${Math.round(set.tookMs)} ms, withdrawn in ${Math.round(withdrawn.tookMs)} ms`);
  t.deepEqual(await table(), []);
});
