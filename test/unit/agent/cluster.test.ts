/** One node among others: when it announces, when it withdraws, and what it says meanwhile. */
import test from 'ava';
import { withdrawFor } from '../../../src/agent/cluster-port.js';
import { DeadlineError, PreconditionError } from '../../../src/base/errors.js';
import { peer } from '../../support/peer_report.js';
import { follow, never, settled, vips, World } from './cluster_world.js';

async function active(options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  await world.node.start({ takesOver: false });
  await settled();
  world.sync.joins[0]?.end();
  await world.pass(20);
  return world;
}

test('a node without sync and routes is active at once, and says that it announces nothing', async (t) => {
  const world = new World({ sync: false, routes: false });
  await world.node.start({ takesOver: false });
  t.is(world.node.view().life, 'active');
  t.deepEqual(world.node.notReady(), []);
  t.deepEqual(world.node.problems(), []);
  t.regex(world.reasons()[0]!, /routes is not configured/);
});

test('a node announces nothing before it has the sessions, then all at once', async (t) => {
  const world = new World();
  await world.node.start({ takesOver: false });
  await world.pass(50);
  t.deepEqual(world.announced, []);
  t.deepEqual(world.node.notReady(), ['joins: sessions are fetched from a peer']);
  t.regex(world.reasons()[0]!, /^the node joins/);
  world.sync.joins[0]!.end();
  await world.pass(20);
  t.deepEqual(world.announced, vips);
  t.deepEqual(world.announcer.told, [[], [...vips]], 'what somebody left behind goes first');
  t.deepEqual(world.node.notReady(), []);
});

test('an agent that is started again withdraws nothing while it joins', async (t) => {
  const world = new World();
  const all = vips.map((vip) => ({ vip, preference: 'primary', med: null, prepend: 0, communities: [] }) as const);
  world.announcer.announced = all;
  await world.node.start({ takesOver: true });
  await world.pass(50);
  t.is(world.node.view().life, 'joining');
  t.deepEqual(world.announced, vips);
  world.sync.joins[0]!.end();
  await world.pass(50);
  t.deepEqual(world.announced, vips);
  t.true(world.announcer.told.every((told) => told.length === 2));
});

test('one that finds BIRD gone joins before it announces, however well it served before', async (t) => {
  const world = new World();
  await world.node.start({ takesOver: true });
  await world.pass(50);
  t.deepEqual(world.announced, []);
});

test('one whose configuration is lost leaves the routes alone, until it is drained', async (t) => {
  const world = new World();
  world.compiled = null;
  world.announcer.announced = [{ vip: vips[0], preference: 'primary', med: null, prepend: 0, communities: [] }];
  await world.node.start({ takesOver: true });
  world.sync.joins[0]?.end();
  await world.pass(50);
  t.deepEqual(world.announcer.told, []);
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(50);
  t.deepEqual(world.announced, []);
});

test('a VIP whose backends are all down is withdrawn alone, and comes back', async (t) => {
  const world = await active();
  world.setUnhealthy('be1');
  await world.pass(20);
  t.deepEqual(world.announced, [vips[1]]);
  t.regex(world.reasons()[0]!, /^no healthy backend/);
  world.setUnhealthy();
  await world.pass(20);
  t.deepEqual(world.announced, vips);
});

test('a changed health check withdraws nothing until it has found something', async (t) => {
  const world = await active();
  const before = world.announcer.told.length;
  world.forgetHealth();
  await world.pass(50);
  t.is(world.announcer.told.length, before);
  world.setUnhealthy('be1', 'be2');
  await world.pass(20);
  t.deepEqual(world.announced, []);
  world.forgetHealth();
  await world.pass(50);
  t.deepEqual(world.announced, [], 'and what is not announced waits for health');
});

test('changes that come together are one change of the routes', async (t) => {
  const world = await active();
  const before = world.announcer.told.length;
  world.setUnhealthy('be1');
  world.setUnhealthy('be1', 'be2');
  world.setUnhealthy('be2');
  await world.pass(20);
  t.deepEqual(world.announcer.told.slice(before), [[vips[0]]]);
});

test('what changes nothing is not told again', async (t) => {
  const world = await active();
  const before = world.announcer.told.length;
  world.node.refresh();
  world.sync.setPeers([peer()]);
  await world.pass(50);
  t.is(world.announcer.told.length, before);
});

test('routes that were refused are told as such, and tried again', async (t) => {
  const world = await active();
  world.announcer.refuses = 'BIRD does not answer';
  world.setUnhealthy('be1');
  await world.pass(20);
  t.deepEqual(world.announced, vips);
  t.true(world.node.problems().includes('routes could not be changed: BIRD does not answer'));
  t.regex(world.reasons()[0]!, /^is being withdrawn: no healthy backend/);
  world.announcer.refuses = '';
  await world.pass(1100);
  t.deepEqual(world.announced, [vips[1]]);
  t.deepEqual(world.node.problems(), []);
});

test('without a data plane everything is withdrawn', async (t) => {
  const world = await active();
  world.dataPlaneFault = 'the data plane is not attached to eth0';
  world.node.refresh();
  await world.pass(20);
  t.deepEqual(world.announced, []);
  t.is(world.reasons()[0], 'the data plane is not attached to eth0');
});

test('a detach that fails gives back what was withdrawn for it', async (t) => {
  const world = await active();
  const why = { reason: 'the data plane is detached', signal: AbortSignal.abort() };
  const failed = withdrawFor(world.node, world.clock, why, async () => {
    await world.pass(20);
    t.deepEqual(world.announced, []);
    throw new Error('EBUSY');
  });
  await t.throwsAsync(failed, { message: 'EBUSY' });
  await world.pass(20);
  t.deepEqual(world.announced, vips);
});

test('a join that throws ends no process: the node goes on, and says why', async (t) => {
  const world = new World();
  await world.node.start({ takesOver: false });
  await settled();
  world.sync.joins[0]!.fail(new Error('no memory'));
  await world.pass(20);
  t.is(world.node.view().life, 'active');
  t.regex(world.node.view().joinMessage, /no memory/);
  t.deepEqual(world.announced, vips);
});

test('a zone that was gone whole waits out its hold-down while the other zone serves', async (t) => {
  const world = new World({ zone: 'a', zones: ['a', 'b'] });
  world.sync.list = [peer({ zone: 'b', announced: 2 })];
  await world.node.start({ takesOver: false });
  await settled();
  world.sync.joins[0]!.end();
  await world.pass(9500);
  t.deepEqual(world.announced, []);
  t.regex(world.reasons()[0]!, /was gone whole/);
  await world.pass(600);
  t.deepEqual(world.announced, vips, 'by itself, with nothing else that happens');
});

test('a zone that waits takes over at once when the other one goes, too', async (t) => {
  const world = new World({ zone: 'a', zones: ['a', 'b'] });
  world.sync.list = [peer({ zone: 'b', announced: 2 })];
  await world.node.start({ takesOver: false });
  await settled();
  world.sync.joins[0]!.end();
  await world.pass(1000);
  t.deepEqual(world.announced, []);
  world.sync.setPeers([peer({ zone: 'b', announced: 2, alive: false })]);
  await world.pass(20);
  t.deepEqual(world.announced, vips);
});

test('peers hear of life, sessions and what is announced', async (t) => {
  const world = await active();
  t.like(world.sync.reports[0], { life: 'joining', announced: 0 });
  t.like(world.sync.reports.at(-1), { life: 'active', announced: 2, sessions: 7, suspect: false, version: '0.1.0' });
});

test('a drain withdraws, waits for the traffic to go, then the node is stopped and stays so', async (t) => {
  const world = await active();
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  for (let i = 0; i < 200; i++) {
    world.packets += 10n;
    await world.pass(10);
  }
  t.deepEqual(world.announced, []);
  t.false(drain.ended, 'traffic still comes');
  t.is(world.node.view().life, 'draining');
  t.deepEqual(world.node.notReady(), ['drained']);
  t.true(drain.said.at(-1)!.packetsPerSecond > 900);
  await world.pass(1500);
  t.true(drain.ended);
  t.like(drain.said.at(-1), { life: 'stopped', done: true, announced: 0 });
  t.true(world.withdrawn, 'on disk');
  world.setUnhealthy();
  await world.pass(50);
  t.deepEqual(world.announced, []);
});

test('a drain that takes too long says so, and the node becomes stopped when the traffic goes after all', async (t) => {
  const world = await active();
  const drain = follow(world.port.drain({ timeoutMs: 1000 }, never()));
  for (let i = 0; i < 110; i++) {
    world.packets += 1n;
    await world.pass(10);
  }
  t.true(drain.error instanceof DeadlineError);
  t.regex((drain.error as Error).message, /^after 1 s: .* packets a second; the node stays withdrawn$/);
  t.deepEqual(world.announced, []);
  t.is(world.node.view().life, 'draining');
  await world.pass(2000);
  t.is(world.node.view().life, 'stopped');
  const again = follow(world.port.drain({ timeoutMs: null }, never()));
  await settled();
  t.true(again.ended);
  t.is(again.said.length, 1, 'a drained node says so at once');
});

test('traffic that comes while the routes cannot be withdrawn is not taken for gone, nor is silence', async (t) => {
  const world = await active();
  world.announcer.refuses = 'BIRD does not answer';
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(5000);
  t.false(drain.ended);
  t.regex(drain.said.at(-1)!.message, /BIRD does not answer/);
  world.announcer.refuses = '';
  await world.pass(3000);
  t.true(drain.ended);
});

test('of much traffic the thousandth part that stays is no reason to wait', async (t) => {
  const world = await active();
  world.node.sample();
  await world.pass(1000);
  world.packets += 100_000n;
  world.node.sample();
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  for (let i = 0; i < 150; i++) {
    world.packets += 1n;
    await world.pass(10);
  }
  t.true(drain.ended, '100 packets a second of 100,000');
});

test('whoever stops looking on ends nothing', async (t) => {
  const world = await active();
  const looking = new AbortController();
  const drain = follow(world.port.drain({ timeoutMs: null }, looking.signal));
  await world.pass(300);
  looking.abort();
  await settled();
  t.true(drain.ended);
  t.is(drain.error, null);
  await world.pass(2000);
  t.is(world.node.view().life, 'stopped');
});

test('a drained node stays drained over restarts of its agent', async (t) => {
  const world = new World();
  world.withdrawn = true;
  world.announcer.announced = [{ vip: vips[0], preference: 'primary', med: null, prepend: 0, communities: [] }];
  await world.node.start({ takesOver: true });
  await world.pass(2000);
  t.deepEqual(world.announced, []);
  t.is(world.node.view().life, 'stopped');
  t.is(world.sync.joins.length, 0);
  t.regex(world.node.problems()[0]!, /drained.*spillway node activate/);
});

test('activate fetches the sessions again, then announces', async (t) => {
  const world = await active();
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(2000);
  const back = follow(world.port.activate(never()));
  await world.pass(50);
  t.false(world.withdrawn, 'on disk');
  t.deepEqual(world.announced, []);
  world.sync.joins[1]!.onProgress({ from: 'lb3', sessions: 40, expected: 100 });
  await world.pass(300);
  t.like(back.said.at(-1), { life: 'joining', sessions: 40, sessionsExpected: 100, done: false });
  t.regex(back.said.at(-1)!.message, /lb3/);
  world.sync.joins[1]!.end({ from: 'lb3' });
  await world.pass(300);
  t.true(back.ended);
  t.like(back.said.at(-1), { life: 'active', announced: 2, done: true });
  t.deepEqual(world.announced, vips);
});

test('activate of an active node says so at once', async (t) => {
  const world = await active();
  const back = follow(world.port.activate(never()));
  await settled();
  t.true(back.ended);
  t.is(world.sync.joins.length, 1);
});

test('a drain during the join wins, and the join that ends later announces nothing', async (t) => {
  const world = new World();
  await world.node.start({ takesOver: false });
  await settled();
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(20);
  world.sync.joins[0]!.end();
  await world.pass(3000);
  t.deepEqual(world.announced, []);
  t.is(world.node.view().life, 'stopped');
});

test('an activation during a drain ends the drain, and is told', async (t) => {
  const world = await active();
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(300);
  follow(world.port.activate(never()));
  await world.pass(300);
  t.true(drain.error instanceof PreconditionError);
});

test('a disk that refuses does not keep a node in service, and is told', async (t) => {
  const world = await active();
  world.diskFault = 'ENOSPC';
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(3000);
  t.true(drain.ended);
  t.deepEqual(world.announced, []);
  t.regex(drain.said.at(-1)!.message, /a restart of the agent announces again.*ENOSPC/);
});

test('that a node is drained is on disk before its routes go, and in the order of the commands', async (t) => {
  const world = await active();
  let answer = (): void => {};
  world.disk = new Promise((resolve) => {
    answer = resolve;
  });
  const left = new AbortController();
  follow(world.port.drain({ timeoutMs: null }, left.signal));
  left.abort();
  await world.pass(100);
  t.is(world.node.view().life, 'active');
  follow(world.port.activate(never()));
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(100);
  t.is(world.node.view().life, 'active');
  answer();
  await world.pass(100);
  t.true(world.withdrawn);
  t.is(world.node.view().life, 'draining');
  follow(world.port.activate(never()));
  await world.pass(100);
  t.false(world.withdrawn);
  t.is(world.node.view().life, 'joining');
});

test('a disk that does not answer does not keep a node in service, and is right once it does', async (t) => {
  const world = await active();
  let answer = (): void => {};
  world.disk = new Promise((resolve) => {
    answer = resolve;
  });
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(3500);
  t.not(world.node.view().life, 'active');
  follow(world.port.activate(never()));
  await world.pass(3500);
  t.is(world.node.view().life, 'joining');
  answer();
  await world.pass(100);
  t.false(world.withdrawn);
});

test('without routes a drain says that nothing withdraws by itself, and waits for the traffic all the same', async (t) => {
  const world = await active({ routes: false });
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  for (let i = 0; i < 100; i++) {
    world.packets += 5n;
    await world.pass(10);
  }
  t.regex(drain.said.at(-1)!.message, /nothing withdraws by itself/);
  await world.pass(2000);
  t.true(drain.ended);
});

test('the last node says that traffic has nowhere to go', async (t) => {
  const world = await active();
  const drain = follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(500);
  t.regex(drain.said.at(-1)!.message, /no other node is active/);
});

test('at the end routes stay, unless the data plane goes', async (t) => {
  const keeping = await active();
  await keeping.node.close({ withdraw: false });
  t.deepEqual(keeping.announcer.closed, { withdraw: false });
  t.true(keeping.sync.closed);
  t.deepEqual(keeping.announced, vips);
  const leaving = await active();
  leaving.node.leave('the data plane is detached');
  await leaving.pass(20);
  t.deepEqual(leaving.announced, []);
});

test('a node that wants another state, and one that is silent, are problems', async (t) => {
  const world = await active();
  const { configDigest } = world.sync.reports.at(-1)!;
  world.sync.setPeers([
    peer({ name: 'lb2', configDigest, flowKeyDigest: 1n }),
    peer({ name: 'lb3', configDigest: 99n, configVersion: 5n }),
    peer({ name: 'lb4', configDigest, alive: false }),
  ]);
  await world.pass(20);
  const problems = world.node.problems();
  t.is(problems.length, 2);
  t.regex(problems[0]!, /^lb3 wants another state \(version 5, here 1\)/);
  t.regex(problems[1]!, /^lb4 is silent/);
});

/** Cut off from its router and its peer. */
async function isolated(): Promise<World> {
  const world = await active();
  world.sync.setPeers([peer()]);
  world.announcer.setNeighbor('Established');
  await world.pass(20);
  world.announcer.setNeighbor('Connect');
  await world.pass(20);
  mustBeActive(world);
  world.sync.setPeers([peer({ alive: false })]);
  await world.pass(20);
  return world;
}

function mustBeActive(world: World): void {
  if (world.node.view().life !== 'active') throw new Error('it has lost its router alone');
}

test('a node that was cut off from everything fetches the sessions before it announces again', async (t) => {
  const world = await isolated();
  t.is(world.node.view().life, 'joining');
  t.deepEqual(world.announced, []);
  t.true(world.node.problems().some((problem) => problem.startsWith('cut off')));
  t.is(world.sync.joins.length, 1, 'there is nobody to ask');
  world.sync.setPeers([peer()]);
  await world.pass(20);
  t.is(world.sync.joins.length, 2);
  world.announcer.setNeighbor('Established');
  await world.pass(2000);
  t.deepEqual(world.announced, [], 'whatever the router does');
  world.sync.joins[1]!.end();
  await world.pass(20);
  t.deepEqual(world.announced, vips);
  t.false(world.node.problems().some((problem) => problem.startsWith('cut off')));
});

test('one that hears its router and nobody else goes on alone after a second', async (t) => {
  const world = await isolated();
  world.announcer.setNeighbor('Established');
  await world.pass(900);
  t.is(world.sync.joins.length, 1);
  await world.pass(200);
  world.sync.joins[1]!.end({ from: null });
  await world.pass(20);
  t.deepEqual(world.announced, vips);
});

test('peers that are forgotten while a node is cut off do not bring it back', async (t) => {
  const world = await isolated();
  world.sync.setPeers([]);
  await world.pass(5000);
  t.is(world.node.view().life, 'joining');
  t.is(world.sync.joins.length, 1);
});

test('a node that is drained while it is cut off stays drained when it is back', async (t) => {
  const world = await isolated();
  follow(world.port.drain({ timeoutMs: null }, never()));
  await world.pass(2000);
  world.sync.setPeers([peer()]);
  world.announcer.setNeighbor('Established');
  await world.pass(3000);
  t.is(world.node.view().life, 'stopped');
  t.deepEqual(world.announced, []);
});

test('the last node that its routers hear stays, and so does one that BIRD says nothing about', async (t) => {
  for (const state of ['Established', '']) {
    const world = await active();
    world.announcer.setNeighbor(state);
    world.sync.setPeers([peer({ alive: false })]);
    await world.pass(2000);
    t.deepEqual(world.announced, vips, state);
  }
});
