import test from 'ava';
import type { messages } from '../../../src/api/client.js';
import { DeadlineError } from '../../../src/base/errors.js';
import { until } from '../../support/lab/until.js';
import { refused, startApi } from './harness.js';

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream) values.push(value);
  return values;
}

test('the cluster as this node sees it', async (t) => {
  const { client } = await startApi(t);
  const cluster = await client.cluster.get();
  t.deepEqual(
    cluster.nodes.map(({ name, life, self, configDiffers }) => ({ name, life, self, configDiffers })),
    [
      { name: 'lb1', life: 'ACTIVE', self: true, configDiffers: false },
      { name: 'lb2', life: 'DRAINING', self: false, configDiffers: true },
    ],
  );
  const [here, there] = cluster.nodes;
  t.is(here!.syncLag, null);
  t.deepEqual(there!.syncLag, { seconds: 0n, nanos: 1_500_000 });
  t.is(there!.configDigest, 0xffff_ffff_ffff_ffffn);
  t.deepEqual(there!.lastHeardAt, { seconds: 1_700_000_000n, nanos: 250_000_000 });
  t.like(there, { sessions: 1_234_567n, missed: 3n, repaired: 2n, givenUp: 1n });
  t.like(cluster.routes?.vips[1], { vip: '2001:db8::1', announced: false, reason: 'no healthy backend' });
  t.like(cluster.routes?.neighbors[0], { address: '198.51.100.1', bfd: 'up', routesExported: 1 });
  t.true(cluster.sync?.enabled);
  t.is(cluster.sync?.counters['datagramsSent'], 12n);
  t.deepEqual(cluster.problems, ['lb2 wants another state']);
});

test('without sync there are no counters', async (t) => {
  const { agent, client } = await startApi(t);
  agent.clusterStatus = { ...agent.clusterStatus, sync: null };
  t.deepEqual((await client.cluster.get()).sync, { enabled: false, counters: {} });
});

test('a watch gets what is, then each change, and leaves nothing behind', async (t) => {
  const { agent, client } = await startApi(t);
  const seen: messages.Cluster[] = [];
  for await (const cluster of client.cluster.watch()) {
    seen.push(cluster);
    if (seen.length === 2) break;
    agent.clusterStatus = { ...agent.clusterStatus, problems: [] };
    for (const watcher of agent.clusterWatchers) watcher();
  }
  t.deepEqual(
    seen.map(({ problems }) => problems.length),
    [1, 0],
  );
  await until('the watcher is gone', () => agent.clusterWatchers.size === 0);
});

test('a drain tells how far it is', async (t) => {
  const { agent, client } = await startApi(t);
  agent.drainSteps = [
    { life: 'draining', announced: 1, packetsPerSecond: 12.5, done: false, message: 'withdraws' },
    { life: 'stopped', announced: 0, packetsPerSecond: 0, done: true, message: 'drained' },
  ];
  const steps = await all(client.cluster.drain({ timeout: { seconds: 5n, nanos: 500_000_000 } }));
  t.is(agent.drainTimeoutMs, 5500);
  t.deepEqual(steps, [
    { life: 'DRAINING', announced: 1, packetsPerSecond: 12.5, done: false, message: 'withdraws' },
    { life: 'STOPPED', announced: 0, packetsPerSecond: 0, done: true, message: 'drained' },
  ]);
});

test('without a timeout the agent takes its own; one that is none is refused', async (t) => {
  const { agent, client } = await startApi(t);
  await all(client.cluster.drain({}));
  t.is(agent.drainTimeoutMs, null);
  for (const seconds of [0n, -1n, 86_401n]) {
    const error = await refused(t, all(client.cluster.drain({ timeout: { seconds } })));
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.violations[0]?.field, 'timeout');
  }
});

test('a drain that takes too long ends as DEADLINE_EXCEEDED after what it told, in the words of the agent', async (t) => {
  const { agent, client } = await startApi(t);
  agent.drainSteps = [{ life: 'draining', announced: 0, packetsPerSecond: 3, done: false, message: 'waits' }];
  agent.failWith = new DeadlineError('after 60 s: waits, 3.0 packets a second; the node stays withdrawn');
  const seen: string[] = [];
  const error = await refused(
    t,
    (async () => {
      for await (const { message } of client.cluster.drain({})) seen.push(message);
    })(),
  );
  t.deepEqual(seen, ['waits']);
  t.is(error.code, 'DEADLINE_EXCEEDED');
  t.regex(error.message, /the node stays withdrawn/);
  t.is(error.details.info?.reason, 'STILL_GOING');
});

test('activate tells how the join goes', async (t) => {
  const { agent, client } = await startApi(t);
  agent.activateSteps = [
    { life: 'joining', sessions: 10, sessionsExpected: 100, announced: 0, done: false, message: 'fetches' },
    { life: 'active', sessions: 100, sessionsExpected: 100, announced: 2, done: true, message: '' },
  ];
  t.deepEqual(await all(client.cluster.activate({})), [
    { life: 'JOINING', sessions: 10n, sessionsExpected: 100n, announced: 0, done: false, message: 'fetches' },
    { life: 'ACTIVE', sessions: 100n, sessionsExpected: 100n, announced: 2, done: true, message: '' },
  ]);
});
