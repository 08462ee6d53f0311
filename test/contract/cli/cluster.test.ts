import test from 'ava';
import type { Input, messages } from '../../../src/api/client.js';
import { refuse, startFakeAgent, stillGoing } from './fake_agent.js';
import { spillway, startSpillway } from './spillway.js';

const nodes = [
  { name: 'lb1', self: true, alive: true, life: 'ACTIVE', configVersion: 3n, announced: 1, sessions: 5n },
  { name: 'lb2', alive: true, life: 'ACTIVE', configVersion: 2n, configDiffers: true },
] as const;

test('cluster shows the nodes, and marks one that wants something else', async (t) => {
  const agent = await startFakeAgent({ ClusterService: { get: () => ({ nodes, sync: { enabled: true } }) } });
  t.teardown(agent.close);
  const run = await spillway(['cluster'], agent);
  t.is(run.code, 0);
  t.regex(run.stdout, /^lb1 \(here\) .* 3 /m);
  t.regex(run.stdout, /^lb2 .*2 differs/m);
  const json = JSON.parse((await spillway(['cluster', '--json'], agent)).stdout) as messages.Cluster;
  t.like(json.nodes[1], { name: 'lb2', life: 'ACTIVE', configDiffers: true, sessions: '0' });
});

test('cluster --watch shows each change, with --json one document a line', async (t) => {
  const agent = await startFakeAgent({
    ClusterService: {
      async *watch() {
        yield { nodes: [{ name: 'lb1', life: 'JOINING' as const }] };
        yield { nodes: [{ name: 'lb1', life: 'ACTIVE' as const }] };
      },
    },
  });
  t.teardown(agent.close);
  const run = startSpillway(['cluster', '--watch', '--json'], agent);
  t.teardown(() => run.kill());
  await run.lines(2);
  t.pass();
});

test('node shows this node alone', async (t) => {
  const agent = await startFakeAgent({ ClusterService: { get: () => ({ nodes, sync: { enabled: true } }) } });
  t.teardown(agent.close);
  const run = await spillway(['node'], agent);
  t.regex(run.stdout, /^Life +active$/m);
  t.regex(run.stdout, /^Peers +1 of 1 heard$/m);
  const json = JSON.parse((await spillway(['node', '--json'], agent)).stdout) as messages.ClusterNode;
  t.like(json, { name: 'lb1', self: true, life: 'ACTIVE', sessions: '5' });
});

/** Answers a drain with these, and says what it was asked. */
async function draining(steps: readonly Input<messages.DrainProgress>[], error: Error | null = null) {
  const requests: messages.DrainRequest[] = [];
  const agent = await startFakeAgent({
    ClusterService: {
      async *drain(request) {
        requests.push(request);
        yield* steps;
        if (error) throw error;
      },
    },
  });
  return { ...agent, requests };
}

test('node drain ends when the traffic has gone', async (t) => {
  const agent = await draining([
    { life: 'DRAINING', announced: 1, packetsPerSecond: 900, message: 'withdraws its routes' },
    { life: 'STOPPED', done: true, message: 'drained: no traffic comes to this node' },
  ]);
  t.teardown(agent.close);
  const run = await spillway(['node', 'drain'], agent);
  t.is(run.code, 0);
  t.is(run.stdout, 'drained: no traffic comes to this node (0s)\n');
  t.is(agent.requests[0]?.timeout, null, "the agent's own timeout");
  const json = await spillway(['node', 'drain', '--json', '--timeout', '90.5s'], agent);
  t.like(JSON.parse(json.stdout), { life: 'STOPPED', done: true });
  t.deepEqual(agent.requests[1]?.timeout, { seconds: 90n, nanos: 500_000_000 });
});

test('node drain that takes too long exits with 1, in the words of the agent', async (t) => {
  const steps = [{ life: 'DRAINING' as const, packetsPerSecond: 12, message: 'waits' }];
  const agent = await draining(steps, stillGoing('after 5 s: waits; the node stays withdrawn'));
  t.teardown(agent.close);
  const run = await spillway(['node', 'drain', '--timeout', '5s'], agent);
  t.is(run.code, 1);
  t.is(run.stdout, '');
  t.regex(run.stderr, /after 5 s: waits; the node stays withdrawn/);
  t.regex(run.stderr, /spillway node activate/);
});

test('node drain goes on looking when the agent is started again meanwhile', async (t) => {
  let calls = 0;
  const agent = await startFakeAgent({
    ClusterService: {
      async *drain() {
        calls++;
        if (calls === 1) {
          yield { life: 'DRAINING' as const, packetsPerSecond: 5, message: 'waits' };
          throw refuse('UNAVAILABLE', 'the agent is stopping: connect again later');
        }
        yield { life: 'STOPPED' as const, done: true, message: 'drained: no traffic comes to this node' };
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['node', 'drain'], agent);
  t.is(run.code, 0);
  t.is(calls, 2);
  t.regex(run.stderr, /the agent is stopping.*trying again/);
});

test('node drain ends in time though the agent stays away, and says where the node was', async (t) => {
  let calls = 0;
  const agent = await startFakeAgent({
    ClusterService: {
      async *drain() {
        if (++calls === 1) yield { life: 'DRAINING' as const, packetsPerSecond: 5, message: 'withdraws its routes' };
        throw refuse('UNAVAILABLE', 'the agent is stopping: connect again later');
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['node', 'drain', '--timeout', '100ms'], agent);
  t.is(run.code, 1);
  t.regex(run.stderr, /gave up after \d+s: the node is draining \(withdraws its routes\), and nothing was heard/);
  t.regex(run.stderr, /spillway node activate/);
});

test('node activate ends after --timeout, in words of where the node is', async (t) => {
  const agent = await startFakeAgent({
    ClusterService: {
      async *activate() {
        yield { life: 'JOINING' as const, message: 'cut off from routers and from other nodes' };
        await new Promise(() => {});
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['node', 'activate', '--timeout', '500ms'], agent);
  t.is(run.code, 1);
  t.regex(run.stderr, /activate gave up after .*: the node is joining \(cut off from routers and from other nodes\)/);
  t.regex(run.stderr, /The agent goes on/);
});

test('node activate says how many VIPs are announced', async (t) => {
  const agent = await startFakeAgent({
    ClusterService: {
      async *activate() {
        yield { life: 'JOINING' as const, sessions: 10n, sessionsExpected: 100n, message: 'fetches sessions from lb2' };
        yield {
          life: 'ACTIVE' as const,
          announced: 2,
          done: true,
          message: 'joined with 100 sessions of lb2',
        };
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['node', 'activate'], agent);
  t.is(run.code, 0);
  t.is(run.stdout, 'active, 2 VIPs announced; joined with 100 sessions of lb2\n');
});

test('an unknown word after node is wrong usage', async (t) => {
  const run = await spillway(['node', 'drian']);
  t.is(run.code, 2);
  t.regex(run.stderr, /too many arguments for 'node'/);
});

test('help has examples, and completion knows the commands', async (t) => {
  for (const words of [['cluster'], ['node'], ['node', 'drain'], ['node', 'activate']]) {
    t.regex((await spillway([...words, '--help'])).stdout, /\nExamples:\n {2}\$ spillway /, words.join(' '));
  }
  const { stdout } = await spillway(['completion', 'bash']);
  t.regex(stdout, /'node'\) words='[^']*drain activate'/);
  t.regex(stdout, /'cluster'\) words='--watch/);
});
