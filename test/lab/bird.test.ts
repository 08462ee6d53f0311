/** Routes by a BIRD that Spillway keeps, seen by a router that runs another. */
import { readFileSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import anyTest, { type TestFn } from 'ava';
import type { AnnouncerMethods } from '../support/lab/announcer.js';
import { BirdLab, route } from '../support/lab/bird_lab.js';
import type { Peer } from '../support/lab/peer.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const vip4 = '192.0.2.10';
const vip6 = '2001:db8:10::10';
const both = [route(vip4), route(vip6)];
const bothPrefixes = [`${vip4}/32`, `${vip6}/128`];
let lab: BirdLab;
let node: Peer<AnnouncerMethods>;

async function learn(...prefixes: string[]): Promise<number> {
  const startedMs = performance.now();
  await until(`the router to have ${prefixes.join(' ') || 'nothing'}`, async () => {
    return (await lab.learnt('node1')).join() === prefixes.sort().join();
  });
  return performance.now() - startedMs;
}

test.before(async () => {
  lab = await BirdLab.up('bird', { routerBgp: 'debug { states, routes };' });
  node = lab.announcer('node1');
});

test.after.always(async () => {
  await lab?.down();
});

test.afterEach.always((t) => {
  if (t.passed) return;
  for (const [host, file] of [
    ['router', 'bird.log'],
    ['node1', 'bird.conf.log'],
  ] as const) {
    t.log(host, lab.read(host, file).split('\n').slice(-20).join('\n'));
  }
});

test('BIRD is started with no routes; told of both families, it announces them', async (t) => {
  const opened = await node.call('open', lab.config('node1'));
  t.like(opened, { kind: 'bird', announced: [], problems: [] });
  t.like(opened.engine, { running: true, starts: 1 });
  t.is(getPriority((await lab.birdPids('node1'))[0]), -10, 'it does not wait for other work');
  t.regex(opened.engine!.version, /^BIRD 2\.\d/);
  t.like(await node.call('set', both), { error: '' });
  t.log(`learnt after ${await learn(...bothPrefixes)} ms, with the making of the sessions`);
  const status = await until('neighbors that say so', async () => {
    const now = await node.call('status');
    const told = now.neighbors.every(({ bfd, routesExported }) => bfd === 'up' && routesExported === 1);
    return now.announced.length === 2 && told && now;
  });
  t.deepEqual(status.announced, both);
  t.deepEqual(
    status.neighbors.map(({ address, state, error }) => [address, state, error]),
    [
      ['10.91.1.2', 'Established', ''],
      ['fd91:1::2', 'Established', ''],
    ],
  );
  for (const { sinceMs } of status.neighbors) t.true(Math.abs(Date.now() - sinceMs!) < 60_000);
  t.deepEqual(status.problems, []);
  t.true((await node.call('notices')) > 0);
});

test('a withdrawal is at the router within 100 ms, and so is an announcement', async (t) => {
  const withdrawals: number[] = [];
  const announcements: number[] = [];
  for (let round = 0; round < 5; round++) {
    const startedMs = performance.now();
    t.like(await node.call('set', []), { error: '' });
    await learn();
    withdrawals.push(performance.now() - startedMs);
    const againMs = performance.now();
    t.like(await node.call('set', both), { error: '' });
    await learn(...bothPrefixes);
    announcements.push(performance.now() - againMs);
  }
  t.log(`withdrawn after ${withdrawals.map(Math.round)} ms, announced after ${announcements.map(Math.round)} ms`);
  t.true(Math.max(median(withdrawals), median(announcements)) < 100 * patience);
});

test('100 VIPs come and go one at a time: no session restarts, and the routes of others never flap', async (t) => {
  const sessions = await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family)));
  const logged = lab.read('router', 'bird.log').length;
  const vips = Array.from({ length: 50 }, (_, i) => [
    `198.51.100.${i + 1}`,
    `2001:db8:51::${(i + 1).toString(16)}`,
  ]).flat();
  const growing = vips.map((_, count) => [...both, ...vips.slice(0, count + 1).map((vip) => route(vip))]);
  const shrinking = vips.map((_, count) => [...both, ...vips.slice(count + 1).map((vip) => route(vip))]);
  const startedMs = performance.now();
  await node.call('setInTurn', growing);
  t.log(`100 changes in ${Math.round(performance.now() - startedMs)} ms`);
  await until('102 routes', async () => (await lab.learnt('node1')).length === 102);
  await node.call('setInTurn', shrinking);
  await learn(...bothPrefixes);
  t.deepEqual(await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family))), sessions);
  const lines = lab.read('router', 'bird.log').slice(logged).split('\n');
  t.deepEqual(
    lines.filter((line) => bothPrefixes.some((prefix) => line.includes(` ${prefix} `))),
    [],
  );
  for (const vip of vips) {
    const events = lines
      .filter((line) => line.includes(` ${vip}/`))
      .map((line) => /_v[46]\.ipv[46] > (\w+)/.exec(line)?.[1]);
    t.deepEqual(events, ['added', 'removed'], vip);
  }
});

test('what is told together is one reconfiguration', async (t) => {
  const before = (await node.call('status')).engine!.changes;
  const sets = Array.from({ length: 40 }, (_, i) => [...both, route(`198.51.100.${i + 1}`)]);
  await node.call('setMany', sets);
  t.is((await node.call('status')).engine!.changes, before + 1);
  await learn(...bothPrefixes, '198.51.100.40/32');
  await node.call('set', both);
});

test('MED, prepends and communities of a route arrive, and change without a flap of the others', async (t) => {
  await learn(...bothPrefixes);
  const logged = lab.read('router', 'bird.log').length;
  const special = route(vip6, { preference: 'secondary', med: 5, prepend: 1, communities: ['65000:7', '65000:1:2'] });
  await node.call('set', [route(vip4), special]);
  const text = await until('the attributes', async () => {
    const now = await lab.routeAt(`${vip6}/128`);
    return now.includes('BGP.med: 105') && now;
  });
  t.regex(text, /BGP\.as_path: 65001 65001 65001 65001\n/);
  t.regex(text, /BGP\.community: \(65000,7\)/);
  t.regex(text, /BGP\.large_community: \(65000, 1, 2\)/);
  t.notRegex(await lab.routeAt(`${vip4}/32`), /BGP\.(med|community)/);
  t.notRegex(lab.read('router', 'bird.log').slice(logged), new RegExp(` ${vip4}/32 `));
  await node.call('set', both);
});

test('an agent that was killed leaves its routes; the next one takes them up and touches nothing', async (t) => {
  const sessions = await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family)));
  await node.close();
  const logged = lab.read('router', 'bird.log').length;
  node = lab.announcer('node1');
  const opened = await node.call('open', lab.config('node1'));
  t.deepEqual(opened.announced, both);
  t.like(opened.engine, { starts: 0, running: true });
  t.like(await node.call('set', both), { error: '' });
  t.deepEqual(await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family))), sessions);
  t.is(lab.read('router', 'bird.log').slice(logged), '');
});

test('a new neighbor in the configuration of the next agent leaves the sessions with the others alone', async (t) => {
  const sessions = await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family)));
  await node.close();
  node = lab.announcer('node1');
  const { neighbors } = lab.config('node1');
  const more = [{ ...neighbors[0]!, address: '10.91.1.99' }, ...neighbors];
  const opened = await node.call('open', lab.config('node1', { neighbors: more }));
  t.deepEqual(opened.announced, both);
  t.is(opened.neighbors.length, 3);
  t.deepEqual(await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family))), sessions);
  await node.close();
  node = lab.announcer('node1');
  t.deepEqual((await node.call('open', lab.config('node1'))).announced, both);
});

test('settings of the sessions change with the agent: they are made anew, and announce what was announced', async (t) => {
  await node.close();
  node = lab.announcer('node1');
  const sessions = await Promise.all(([4, 6] as const).map((family) => lab.session('node1', family)));
  const opened = await node.call('open', lab.config('node1', { holdTimeSeconds: 12 }));
  t.deepEqual(opened.problems, []);
  t.deepEqual((await node.call('set', both)).error, '');
  await until('other sessions', async () => (await lab.session('node1', 4)) !== sessions[0]);
  await learn(...bothPrefixes);
  t.regex(await lab.birdc('router', 'show protocols all node1_v4'), /Hold timer: .*\/12/);
  await node.close();
  node = lab.announcer('node1');
  await node.call('open', lab.config('node1'));
  await until('the sessions as they were', async () => {
    return /Hold timer: .*\/9\n/.test(await lab.birdc('router', 'show protocols all node1_v4'));
  });
  await learn(...bothPrefixes);
});

test('1,000 VIPs are announced, and one among them changes', async (t) => {
  const many = Array.from({ length: 1000 }, (_, i) =>
    route(i % 2 ? `198.18.${i >> 8}.${i & 255}` : `2001:db8:52::${i}`),
  );
  const { tookMs, error } = await node.call('set', many);
  t.is(error, '');
  await until('1,000 routes', async () => (await lab.learnt('node1')).length === 1000);
  const one = await node.call('set', many.slice(1));
  await until('one less', async () => (await lab.learnt('node1')).length === 999);
  t.log(`all in force after ${Math.round(tookMs)} ms, one withdrawn after ${Math.round(one.tookMs)} ms`);
  t.like(await node.call('set', both), { error: '' });
  await learn(...bothPrefixes);
});

test('a killed BIRD is started again, with what was last told', async (t) => {
  const [pid] = await lab.birdPids('node1');
  const startedMs = performance.now();
  process.kill(pid!, 'SIGKILL');
  await learn();
  t.log(`gone from the router after ${Math.round(performance.now() - startedMs)} ms`);
  await learn(...bothPrefixes);
  t.log(`back after ${Math.round(performance.now() - startedMs)} ms`);
  t.true(performance.now() - startedMs < 5000 * patience);
  t.like((await node.call('status')).engine, { running: true, starts: 1 });
});

test('what is told while BIRD is down is what it comes back with', async (t) => {
  // So soon after the last start there is a pause before the next.
  const [pid] = await lab.birdPids('node1');
  process.kill(pid!, 'SIGKILL');
  const { error } = await node.call('set', [route(vip6)]);
  t.true(error === '' || error.startsWith('UnavailableError: '), error);
  await learn(`${vip6}/128`);
  t.deepEqual((await node.call('status')).problems, []);
  await node.call('set', both);
  await learn(...bothPrefixes);
});

test('a table of routes that somebody disables, or another configuration that somebody loads, is put right', async (t) => {
  await lab.birdc('node1', 'disable spillway4');
  await until('a repair', async () => (await node.call('status')).engine!.repairs === 1);
  await learn(...bothPrefixes);
  writeFileSync(lab.file('node1', 'other.conf'), 'router id 1.2.3.4;\nprotocol device {}\n');
  await lab.birdc('node1', `configure "${lab.file('node1', 'other.conf')}"`);
  await learn();
  await learn(...bothPrefixes);
  t.is((await node.call('status')).engine!.repairs, 2);
  await until('neighbors again', async () => (await node.call('status')).announced.length === 2);
});

test('a neighbor that somebody disables is left so, and named', async (t) => {
  await lab.birdc('node1', 'disable peer_10_91_1_2');
  await until('the status to know it', async () => (await node.call('status')).neighbors[0]!.state === 'Down');
  const { announced, problems } = await node.call('status');
  t.deepEqual(announced, [route(vip6)]);
  t.deepEqual(problems, ['neighbor 10.91.1.2 is disabled: birdc enable, if that was not meant']);
  await lab.birdc('node1', 'enable peer_10_91_1_2');
  await learn(...bothPrefixes);
});

test('BIRD has no business in the forwarding of the node', async (t) => {
  for (const family of ['-4', '-6']) {
    const routes = await lab.inside('node1', 'ip', family, 'route', 'show', 'table', 'all');
    t.notRegex(routes, /192\.0\.2\.10|2001:db8:10::10|proto bird/);
  }
});

test('closed to stay, routes and BIRD stay; closed to withdraw, both are gone', async (t) => {
  t.is(await node.call('close', { withdraw: false }), '');
  t.deepEqual(await lab.learnt('node1'), bothPrefixes);
  t.is((await lab.birdPids('node1')).length, 1);
  t.deepEqual((await node.call('open', lab.config('node1'))).announced, both);
  t.is(await node.call('close', { withdraw: true }), '');
  await learn();
  await until('no BIRD', async () => (await lab.birdPids('node1')).length === 0);
  t.notRegex(readFileSync(lab.file('node1', 'bird.conf'), 'utf8'), / route /);
});

test('a node without its agent is withdrawn, its BIRD ended, and none is started for it', async (t) => {
  await node.call('open', lab.config('node1'));
  await node.call('set', both);
  await learn(...bothPrefixes);
  await node.close();
  node = lab.announcer('node1');
  t.is(await node.call('withdrawRoutes', lab.config('node1')), '');
  await learn();
  await until('no BIRD', async () => (await lab.birdPids('node1')).length === 0);
  t.is(await node.call('withdrawRoutes', lab.config('node1')), '');
  t.is((await lab.birdPids('node1')).length, 0);
  t.notRegex(readFileSync(lab.file('node1', 'bird.conf'), 'utf8'), / route /);
});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
