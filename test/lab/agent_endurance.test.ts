import test from 'ava';
import type { SpillwayError } from '../../src/api/client.js';
import type { Agent } from '../support/lab/agent.js';
import { Cluster } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, web } from '../support/lab/desired.js';
import { backendNames, vip4 } from '../support/lab/lab.js';
import { pause, until } from '../support/lab/until.js';

const perSecond = 200;
const lengthMs = 60_000;
const [kills, listenerRounds, weightChanges] = [5, 50, 100];
/** Downloads that last through all of it, paced. */
const downloads = Array.from({ length: 8 }, (_, i) => `download ${i}`);
const bytesPerSecond = 16 * 1024;
const bytes = (bytesPerSecond * lengthMs) / 1000;
let cluster: Cluster;

test.before(async () => {
  cluster = await Cluster.start(`at-e-${process.pid}`, { http: [80, 8080] });
});
test.after.always(() => cluster?.close());

/** As a controller does: again until the agent is there. What was done already is done. */
async function insist(change: () => Promise<unknown>): Promise<void> {
  await until(
    'the agent takes the change',
    async () => {
      try {
        await change();
      } catch (error) {
        const { code } = error as SpillwayError;
        if (code !== 'ALREADY_EXISTS' && code !== 'NOT_FOUND') throw error;
      }
      return true;
    },
    { withinMs: 30_000, everyMs: 50 },
  );
}

function onBoth(change: (agent: Agent) => Promise<unknown>): Promise<unknown> {
  return Promise.all(cluster.agents.map((agent) => insist(() => change(agent))));
}

/** `count` times over the length of the test, the first after one part of it. */
async function spread(count: number, startMs: number, task: (round: number) => Promise<unknown>): Promise<void> {
  for (let round = 0; round < count; round++) {
    await pause(Math.max(0, startMs + (lengthMs * (round + 0.5)) / count - performance.now()));
    await task(round);
  }
}

/** Far apart, so that each change moves a large part of the slots. */
function weightOf(round: number): number {
  return [100, 20, 60, 5, 80][(round * 7) % 5]!;
}

test('200 requests a second see nothing of agents killed, listeners added and removed, weights changed', async (t) => {
  t.timeout(180_000);
  const { client, agents } = cluster;
  await cluster.apply(web([tcp(80, 'servers', { healthCheck: quickCheck })], [group('servers')]));
  await cluster.allHealthy();
  for (const as of downloads) {
    await client.call('startDownload', { as, address: vip4, port: 80, bytes, bytesPerSecond });
  }
  await client.call('startRequests', { as: 'load', address: vip4, port: 80, perSecond });
  const startMs = performance.now();

  const restarts = spread(kills, startMs, async (round) => {
    const agent = agents[round % 2]!;
    await agent.kill('SIGKILL');
    await agent.start();
  });
  const weights = spread(weightChanges, startMs, (round) =>
    onBoth(({ client: { config } }) =>
      config.updateBackend({
        backendGroup: 'servers',
        backend: { name: backendNames[round % 3]!, weight: weightOf(round) },
        updateMask: { paths: ['weight'] },
      }),
    ),
  );
  const listener = tcp(8080, 'servers', { name: 'extra', healthCheck: quickCheck });
  const listeners = spread(listenerRounds, startMs, async () => {
    await onBoth(({ client: { config } }) => config.createListener({ loadBalancer: 'web', listener }));
    await onBoth(({ client: { config } }) => config.deleteListener({ loadBalancer: 'web', name: 'extra' }));
  });
  await Promise.all([restarts, weights, listeners]);

  const report = await client.call('stopRequests', 'load');
  const ended = await until('downloads end', async () => {
    const states = await Promise.all(downloads.map((as) => client.call('download', as)));
    return states.every(({ done, error }) => done || error !== '') && states;
  });
  t.log(report);
  t.deepEqual(report.failures, []);
  t.is(report.answered, report.sent);
  for (const { error, received } of ended) t.deepEqual({ error, received }, { error: '', received: bytes });
  t.true(report.sent >= (perSecond * lengthMs) / 1000 - perSecond, `${report.sent} requests`);
  for (const backend of backendNames) t.true((report.byBackend[backend] ?? 0) > report.sent / 20, backend);
});
