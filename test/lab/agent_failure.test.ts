import test, { type ExecutionContext } from 'ava';
import type { messages } from '../../src/api/client.js';
import type { Agent } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, ms, tcp, udp, web } from '../support/lab/desired.js';
import { type BackendName, backendNames, vip4 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

const ports = [80, 81] as const;
const [intervalMs, timeoutMs, rise, fall] = [200, 1000, 2, 3];
const check = { http: { method: 'GET' }, interval: ms(intervalMs), timeout: ms(timeoutMs), rise, fall };
/** Jitter of the interval, and a machine that is busy with other work. */
const outWithinMs = fall * intervalMs * 1.25 + 1000;
let cluster: Cluster;

function desired(members: readonly BackendName[] = backendNames) {
  const listeners = [
    tcp(80, 'servers', { healthCheck: check }),
    tcp(81, 'servers', { name: 'closed', healthCheck: check, allUnhealthy: 'FAIL_CLOSED' }),
    udp(echoPort, 'servers'),
  ];
  return web(listeners, [group('servers', { members })]);
}

test.before(async () => {
  cluster = await Cluster.start(`at-f-${process.pid}`, { http: ports });
  await cluster.apply(desired());
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

function atMs(time: messages.Timestamp | null): number {
  return time === null ? 0 : Number(time.seconds) * 1000 + time.nanos / 1e6;
}

async function listenerOf(agent: Agent, port: number): Promise<messages.ListenerStatus> {
  const { listeners } = await agent.client.status.get();
  return listeners.find((listener) => listener.port === port)!;
}

/** On both load balancers, by every listener with a check. */
async function judged(backend: BackendName, health: messages.HealthState, withinMs = 10_000): Promise<number> {
  return until(
    `${backend} is ${health} on both load balancers`,
    async () => {
      const states = await Promise.all(cluster.agents.map(({ client }) => client.status.get()));
      const found = states.flatMap(({ listeners }) =>
        listeners
          .filter(({ protocol }) => protocol === 'TCP')
          .map(({ backends }) => backends.find(({ name }) => name === backend)!),
      );
      return found.every((one) => one.health === health) && Math.max(...found.map(({ since }) => atMs(since)));
    },
    { withinMs },
  );
}

function drops(status: messages.Status, reason: string): bigint {
  return status.reasons.find((one) => one.reason === reason)!.packets;
}

async function load(t: ExecutionContext, task: () => Promise<void>) {
  const as = t.title;
  await cluster.client.call('startRequests', { as, address: vip4, port: 80, perSecond: 100, timeoutMs: 5000 });
  await task();
  return cluster.client.call('stopRequests', as);
}

test.serial('a backend whose server dies is out within fall × interval, and no request fails after that', async (t) => {
  let [stoppedMs, outMs, backMs] = [0, 0, 0];
  const requestsBetween = () => cluster.backends.be1.call('requests');
  const report = await load(t, async () => {
    await until('be1 serves', async () => (await requestsBetween()) > 10);
    await cluster.backends.be1.call('stopHttp');
    stoppedMs = Date.now();
    outMs = await judged('be1', 'UNHEALTHY');
    const served = (await cluster.client.call('requestReport', t.title)).answered;
    await until(
      'others serve',
      async () => (await cluster.client.call('requestReport', t.title)).answered > served + 100,
    );
    await cluster.backends.be1.call('startHttp', ports);
    await judged('be1', 'HEALTHY');
    backMs = Date.now();
    await until('be1 serves again', async () => {
      return ((await cluster.client.call('requestReport', t.title)).lastMsByBackend['be1'] ?? 0) > backMs;
    });
  });
  t.true(outMs - stoppedMs <= outWithinMs, `out after ${outMs - stoppedMs} ms`);
  t.log(
    `out after ${Math.round(outMs - stoppedMs)} ms, ${report.failures.length} of ${report.sent} requests failed before`,
  );
  // The verdict is in the tables some milliseconds after its time stamp.
  t.deepEqual(
    report.failures.filter((failure) => failure.atMs > outMs + 250),
    [],
  );
  const { backends } = await listenerOf(cluster.agents[0], 80);
  t.like(backends[0]!.history[1], { from: 'HEALTHY', to: 'UNHEALTHY', reason: 'connect: ECONNREFUSED' });
});

test.serial(
  'with all backends unhealthy a listener fails open, or drops with a reason where it is to fail closed',
  async (t) => {
    for (const backend of backendNames) await cluster.backends[backend].call('stopHttp');
    for (const backend of backendNames) await judged(backend, 'UNHEALTHY');
    for (const agent of cluster.agents) {
      t.like(await listenerOf(agent, 80), { failingOpen: true, backendsHealthy: 0, backendsTotal: 3 });
      t.like(await listenerOf(agent, 81), { failingOpen: false, backendsHealthy: 0 });
    }
    const open = await cluster.client.call('requests', { address: vip4, port: 80, count: 6 });
    for (const { error } of open) t.is(error, 'ECONNREFUSED while connecting', 'a backend was asked');

    const counted = async () => {
      const states = await Promise.all(cluster.agents.map(({ client }) => client.status.get({ summary: true })));
      return states.reduce((sum, status) => sum + drops(status, 'no_backend'), 0n);
    };
    const before = await counted();
    const closed = await cluster.client.call('requests', { address: vip4, port: 81, count: 6, timeoutMs: 300 });
    for (const { error } of closed) t.is(error, 'timeout after 300 ms while connecting');
    t.true((await counted()) >= before + 6n);
    const states = await Promise.all(cluster.agents.map(({ client }) => client.status.get({ summary: true })));
    const samples = states.map(({ reasons }) => reasons.find(({ reason }) => reason === 'no_backend')!.lastSample);
    t.true(samples.some((sample) => sample?.destination === vip4 && sample.destinationPort === 81));

    for (const backend of backendNames) await cluster.backends[backend].call('startHttp', ports);
    await cluster.allHealthy();
    t.false((await listenerOf(cluster.agents[0], 80)).failingOpen);
  },
);

test.serial('a drained backend finishes its downloads and gets no new connection', async (t) => {
  const downloads = Array.from({ length: 9 }, (_, i) => `download ${i}`);
  const bytesPerSecond = 256 * 1024;
  for (const as of downloads) {
    await cluster.client.call('startDownload', {
      as,
      address: vip4,
      port: 80,
      bytes: 3 * bytesPerSecond,
      bytesPerSecond,
    });
  }
  const states = () => Promise.all(downloads.map((as) => cluster.client.call('download', as)));
  const begun = await until('downloads run', async () => {
    const all = await states();
    return all.every(({ received }) => received > 0) && all;
  });
  const drained = begun[0]!.backend as BackendName;
  await cluster.setWeight('servers', drained, 0);
  for (const agent of cluster.agents) {
    const { backends } = await listenerOf(agent, 80);
    t.like(
      backends.find(({ name }) => name === drained),
      { weight: 0, draining: true, up: true },
    );
  }
  const answers = await cluster.client.call('requests', { address: vip4, port: 80, count: 60 });
  t.deepEqual(
    answers.filter(({ hello }) => hello === null || hello.backend === drained),
    [],
  );
  t.false((await cluster.client.call('download', downloads[0]!)).done, 'it runs on while others go elsewhere');
  const ended = await until('downloads end', async () => {
    const all = await states();
    return all.every(({ done, error }) => done || error !== '') && all;
  });
  t.deepEqual(
    ended.map(({ error, done, backend }) => ({ error, done, backend })),
    begun.map(({ backend }) => ({ error: '', done: true, backend })),
  );
  await cluster.setWeight('servers', drained, 100);
});

test.serial('the sessions of a removed backend go elsewhere at their next packet, the others stay', async (t) => {
  const { client, agents } = cluster;
  await client.call('startEcho', { as: 'removed', address: vip4, port: echoPort, flows: 12, perSecond: 20 });
  const first = await until('every flow is answered', async () => {
    const report = await client.call('echoReport', 'removed');
    return report.backends.every((names) => names.length > 0) && report;
  });
  await Promise.all(agents.map((agent) => agent.client.config.deleteBackend({ backendGroup: 'servers', name: 'be3' })));
  await until('flows have moved', async () => {
    const { backends } = await client.call('echoReport', 'removed');
    return backends.every((names) => names.at(-1) !== 'be3');
  });
  const report = await client.call('stopEcho', 'removed');
  t.true(first.backends.some(([name]) => name === 'be3'));
  for (const [i, [before]] of first.backends.entries()) {
    if (before === 'be3') t.is(report.backends[i]!.length, 2, 'one move');
    else t.deepEqual(report.backends[i], [before]);
  }
  t.deepEqual(report.missing.flat(), [], 'and no datagram is lost on the way');
  const answers = await client.call('requests', { address: vip4, port: 80, count: 40 });
  for (const { hello } of answers) t.not(hello?.backend, 'be3');
  await cluster.apply(desired());
  await cluster.allHealthy();
});

test.serial('a backend that comes with another MAC is followed', async (t) => {
  const { lab, agents } = cluster;
  const mac = '02:00:00:00:99:21';
  let followedMs = 0;
  const report = await load(t, async () => {
    await lab.must('be1', 'ip', 'link', 'set', 'dev', 'eth0', 'address', mac);
    const changedMs = Date.now();
    await until(
      'both load balancers send to the new MAC',
      async () => {
        const listeners = await Promise.all(agents.map((agent) => listenerOf(agent, 80)));
        return listeners.every(({ backends }) => backends[0]!.nextHopMac === mac);
      },
      { withinMs: 15_000 },
    );
    followedMs = Date.now() - changedMs;
    await judged('be1', 'HEALTHY', 15_000);
    const backMs = Date.now();
    await until('be1 serves', async () => {
      return ((await cluster.client.call('requestReport', t.title)).lastMsByBackend['be1'] ?? 0) > backMs;
    });
  });
  t.log(
    `after ${followedMs} ms; ${report.failures.length} of ${report.sent} requests failed, ${report.slow} took over 1 s`,
  );
  t.true(report.failures.length < report.sent / 10, 'what be1 missed went elsewhere when it was out');
});
