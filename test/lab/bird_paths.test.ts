/** Which node the router chooses, and how long it takes to leave one that is gone. */
import anyTest, { type TestFn } from 'ava';
import type { AnnouncerMethods } from '../support/lab/announcer.js';
import { BirdLab, route } from '../support/lab/bird_lab.js';
import type { Peer } from '../support/lab/peer.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const vip4 = '192.0.2.10';
const vip6 = '2001:db8:10::10';
const vips = [vip4, vip6];
const nodes = ['node1', 'node2', 'node3'] as const;
type NodeName = (typeof nodes)[number];
const peers = new Map<NodeName, Peer<AnnouncerMethods>>();
let lab: BirdLab;

async function announce(node: NodeName, preference: 'primary' | 'secondary'): Promise<void> {
  await peers.get(node)!.call(
    'set',
    vips.map((vip) => route(vip, { preference })),
  );
}

/** Interfaces by which the router's kernel sends to a VIP. */
async function hops(vip: string): Promise<string> {
  const family = vip.includes(':') ? '-6' : '-4';
  const text = await lab.inside('router', 'ip', family, 'route', 'show', vip);
  return [...new Set([...text.matchAll(/dev (node\d)/g)].map(([, name]) => name))].sort().join(' ');
}

async function untilHops(expected: string, vip?: string): Promise<number> {
  const startedMs = performance.now();
  for (const one of vip === undefined ? vips : [vip]) {
    await until(`${one} by ${expected || 'nobody'}`, async () => (await hops(one)) === expected, {
      withinMs: 30_000,
      everyMs: 2,
    });
  }
  return Math.round(performance.now() - startedMs);
}

test.before(async () => {
  lab = await BirdLab.up('path', { nodes: nodes.length });
  for (const node of nodes) {
    const peer = lab.announcer(node);
    peers.set(node, peer);
    await peer.call('open', lab.config(node));
  }
});

test.after.always(async () => {
  await lab?.down();
});

test('nodes of the primary zone share a VIP, the secondary one holds it in reserve', async (t) => {
  await announce('node1', 'primary');
  await announce('node2', 'primary');
  await announce('node3', 'secondary');
  await untilHops('node1 node2');
  await until('all to have learnt', async () => (await lab.learnt('node3')).length === 2);
  t.is(await untilHops('node1 node2').then(() => hops(vip4)), 'node1 node2');
  const text = await lab.routeAt(`${vip4}/32`);
  t.regex(text, /node3_v4[\s\S]*BGP\.as_path: 65001 65001 65001\n[\s\S]*BGP\.med: 100/);
});

test('the secondary takes over when the last of the primaries has withdrawn, and gives back', async (t) => {
  await peers.get('node1')!.call('set', []);
  await untilHops('node2');
  await peers.get('node2')!.call('set', []);
  t.log(`taken over after ${await untilHops('node3')} ms`);
  await announce('node1', 'primary');
  t.log(`given back after ${await untilHops('node1')} ms`);
  await announce('node2', 'primary');
  await untilHops('node1 node2');
  t.pass();
});

test('MED alone decides where paths are as long', async (t) => {
  await peers.get('node2')!.call('set', [route(vip4, { med: 10 }), route(vip6)]);
  await untilHops('node1', vip4);
  await untilHops('node1 node2', vip6);
  await announce('node2', 'primary');
  await untilHops('node1 node2');
  t.pass();
});

test('a link that goes down is left at once', async (t) => {
  const gaps: number[] = [];
  for (let round = 0; round < 2; round++) {
    await lab.inside('node1', 'ip', 'link', 'set', 'eth0', 'down');
    gaps.push(await untilHops('node2'));
    await lab.inside('node1', 'ip', 'link', 'set', 'eth0', 'up');
    await lab.inside('node1', 'ip', 'address', 'replace', 'fd91:1::1/64', 'dev', 'eth0', 'nodad');
    await untilHops('node1 node2');
  }
  t.log(`left after ${gaps} ms`);
  t.true(Math.max(...gaps) < 1500 * patience, `${gaps}`);
});

test('a node that falls silent is left within the time of BFD, 3 x 100 ms', async (t) => {
  const gaps: number[] = [];
  const backs: number[] = [];
  for (let round = 0; round < 3; round++) {
    const [pid] = await lab.birdPids('node1');
    process.kill(pid!, 'SIGSTOP');
    gaps.push(await untilHops('node2'));
    process.kill(pid!, 'SIGCONT');
    backs.push(await untilHops('node1 node2'));
  }
  t.log(`left after ${gaps} ms, back after ${backs} ms`);
  const median = [...gaps].sort((a, b) => a - b)[1]!;
  t.true(median <= 500 * patience, `median ${median} ms`);
});

test('a whole zone that falls silent is taken over by the other within the time of BFD', async (t) => {
  const pids = (await Promise.all([lab.birdPids('node1'), lab.birdPids('node2')])).flat();
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  const gap = await untilHops('node3');
  for (const pid of pids) process.kill(pid, 'SIGCONT');
  t.log(`taken over after ${gap} ms, back after ${await untilHops('node1 node2')} ms`);
  t.true(gap < 1000 * patience, `${gap} ms`);
});

test('without anybody to start it again, a killed BIRD stays away, and the others serve', async (t) => {
  const peer = peers.get('node1')!;
  await peer.call('close', { withdraw: false });
  const opened = await peer.call('open', lab.config('node1', { supervise: false }));
  t.is(opened.announced.length, 2);
  const [pid] = await lab.birdPids('node1');
  process.kill(pid!, 'SIGKILL');
  t.log(`left after ${await untilHops('node2')} ms`);
  const { problems } = await until('it to be said', async () => {
    const status = await peer.call('status');
    return status.problems.length > 0 && status;
  });
  t.regex(problems[0]!, /no BIRD listens on .*: systemctl start bird/);
  t.is((await lab.birdPids('node1')).length, 0);
  await peer.call('close', { withdraw: false });
  await peer.call('open', lab.config('node1'));
  await untilHops('node1 node2');
});
