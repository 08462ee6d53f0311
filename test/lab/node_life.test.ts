/** A node's life with a real BIRD on either side: routes come, stay and go as the node's life says, and no packet is lost. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import type { Agent, LbName } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { vip4, vip6 } from '../support/lab/lab.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest as TestFn;
let cluster: Cluster;
const desired = web([tcp(80, 'servers', { healthCheck: quickCheck }), udp(echoPort, 'servers')], [group('servers')]);

function settings(host: LbName): Readonly<Record<string, unknown>> {
  const number = host.slice(2);
  return {
    node: { name: host, drainTimeout: '20s' },
    sync: { interface: 'eth0' },
    routes: {
      localAs: 64497,
      localAddress4: `203.0.113.1${number}`,
      localAddress6: `2001:db8:200::1${number}`,
      neighbors: [
        { address: '203.0.113.1', as: 64496 },
        { address: '2001:db8:200::1', as: 64496 },
      ],
      socket: `/run/spillway/nl-${process.pid}/${host}-bird.ctl`,
    },
  };
}

test.before(async () => {
  cluster = await Cluster.start(`nl-${process.pid}`, { topology: { cluster: 'one zone' }, settings });
  await cluster.apply(desired);
  await cluster.allHealthy();
});
test.beforeEach((t) => t.timeout(90_000 * patience));
test.after.always(() => cluster?.close());

/** The nodes that the router sends a VIP's packets to. */
async function nodesOf(vip: string): Promise<string[]> {
  const family = vip.includes(':') ? '-6' : '-4';
  const text = await cluster.lab.must('router', 'ip', family, '-j', 'route', 'show', vip);
  const routes = JSON.parse(text || '[]') as { gateway?: string; nexthops?: { gateway: string }[] }[];
  const gateways = routes.flatMap(({ gateway, nexthops }) => nexthops?.map((hop) => hop.gateway) ?? [gateway ?? '']);
  return gateways.map((gateway) => `lb${gateway.at(-1)}`).sort();
}

async function routedTo(...nodes: readonly string[]): Promise<void> {
  const wanted = nodes.join();
  for (const vip of [vip4, vip6]) {
    await until(`${vip} leads to ${wanted || 'nobody'}`, async () => `${await nodesOf(vip)}` === wanted, {
      withinMs: 20_000,
    });
  }
}

/** Datagrams and requests while `task` runs: all are answered, by the backend that answered before. */
async function underTraffic(t: ExecutionContext, task: () => Promise<unknown>): Promise<void> {
  const { client } = cluster;
  await client.call('startEcho', { as: 'echo', address: vip4, port: echoPort, flows: 12, perSecond: 50 });
  await client.call('startRequests', { as: 'http', address: vip6, port: 80, perSecond: 50 });
  await until('traffic flows', async () => (await client.call('echoReport', 'echo')).received > 100);
  await task();
  const [echo, http] = [await client.call('stopEcho', 'echo'), await client.call('stopRequests', 'http')];
  t.deepEqual(http.failures, []);
  t.deepEqual(echo.missing.flat(), [], `of ${echo.sent} datagrams`);
  for (const backends of echo.backends) t.is(backends.length, 1, 'a session stays with its backend');
}

async function lifeOf(agent: Agent): Promise<string> {
  const { nodes } = await agent.client.cluster.get();
  return nodes.find(({ self }) => self)!.life;
}

/** What the router's routes to VIPs go through while `task` runs. */
async function routeChanges(task: () => Promise<unknown>): Promise<string[]> {
  const [file, ...words] = cluster.lab.command('router', 'ip', 'monitor', 'route');
  const monitor = spawn(file!, words, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  monitor.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  await task();
  monitor.kill();
  await once(monitor, 'exit');
  return text.split('\n').filter((line) => line.includes(vip4) || line.includes(vip6));
}

test.serial('both nodes announce once they are active, and say to whom', async (t) => {
  await routedTo('lb1', 'lb2');
  const [lb1] = cluster.agents;
  const { routes, problems } = await lb1.client.cluster.get();
  t.is(routes?.kind, 'bird');
  t.deepEqual(
    routes?.vips.map(({ vip, announced, reason }) => [vip, announced, reason]),
    [
      [vip4, true, ''],
      [vip6, true, ''],
    ],
  );
  t.deepEqual(
    routes?.neighbors.map(({ state, bfd }) => [state, bfd]),
    [
      ['Established', 'up'],
      ['Established', 'up'],
    ],
  );
  t.deepEqual(problems, []);
});

test.serial('each node shows the other, and what is purged on one is purged on both', async (t) => {
  const { client } = cluster;
  await client.call('startEcho', { as: 'purged', address: vip4, port: echoPort, flows: 12, perSecond: 50 });
  await until('both nodes have every flow', async () => {
    const pages = cluster.agents.map((agent) => agent.client.sessions.list({ filter: { vipPort: echoPort } }));
    const seen = await Promise.all(pages);
    return seen.every(({ sessions }) => sessions.length >= 12);
  });
  const [lb1, lb2] = cluster.agents;
  const shown = await lb1.spillway('cluster');
  t.log(`\n${shown.stdout}`);
  t.regex(shown.stdout, /^lb1 \(here\) +- +active/m);
  t.regex(shown.stdout, /^lb2 +- +active/m);
  const { nodes } = await lb2.client.cluster.get();
  t.deepEqual(
    nodes.map(({ name, self, alive, configDiffers }) => ({ name, self, alive, configDiffers })),
    [
      { name: 'lb2', self: true, alive: true, configDiffers: false },
      { name: 'lb1', self: false, alive: true, configDiffers: false },
    ],
  );
  await client.call('stopEcho', 'purged');
  t.is((await lb1.spillway('purge', '--vip', vip4)).code, 0);
  for (const agent of cluster.agents) {
    const { sessions } = await agent.client.sessions.list({ filter: { vip: vip4 } });
    t.is(sessions.length, 0, agent.host);
  }
});

test.serial('a node that wants another state is marked', async (t) => {
  const [lb1, lb2] = cluster.agents;
  await lb2.client.config.apply({ config: web([tcp(80, 'servers', { healthCheck: quickCheck })], [group('servers')]) });
  await until('lb1 says so', async () => {
    const { problems } = await lb1.client.cluster.get();
    return problems.some((problem) => problem.startsWith('lb2 wants another state'));
  });
  t.regex((await lb1.spillway('cluster')).stdout, /^lb2 .* differs /m);
  await lb2.client.config.apply({ config: desired });
  await until('all is well', async () => (await lb1.client.cluster.get()).problems.length === 0);
});

test.serial('a drain moves the traffic to the other node and loses none of it, nor does the way back', async (t) => {
  const [lb1] = cluster.agents;
  await underTraffic(t, async () => {
    const { code, stdout, stderr } = await lb1.spillway('node', 'drain');
    t.is(code, 0, stderr);
    t.regex(stdout, /^drained: no traffic comes to this node/);
    t.deepEqual(await nodesOf(vip4), ['lb2']);
    t.is(await lifeOf(lb1), 'STOPPED');
    const back = await lb1.spillway('node', 'activate');
    t.is(back.code, 0, back.stderr);
    t.regex(back.stdout, /^active, 2 VIPs announced/);
    await routedTo('lb1', 'lb2');
  });
});

test.serial('a drained node stays drained over a restart, is not ready, and says so', async (t) => {
  const [lb1] = cluster.agents;
  t.is((await lb1.spillway('node', 'drain')).code, 0);
  await lb1.kill('SIGKILL');
  await lb1.start();
  await until('it is stopped', async () => (await lifeOf(lb1)) === 'STOPPED');
  t.deepEqual(await nodesOf(vip4), ['lb2']);
  const ready = await cluster.lab.exec('lb1', 'curl', '-s', 'http://127.0.0.1:9155/readyz');
  t.regex(ready.stdout, /drained/);
  const { problems } = await lb1.client.status.get({ summary: true });
  t.regex(problems.join('\n'), /the node is drained: "spillway node activate"/);
  t.is((await lb1.spillway('node', 'activate')).code, 0);
  await routedTo('lb1', 'lb2');
});

test.serial('a drain of the last node says that it has nowhere to go, and ends after its time with 1', async (t) => {
  const [lb1, lb2] = cluster.agents;
  const { client } = cluster;
  t.is((await lb2.spillway('node', 'drain')).code, 0);
  // Somebody else's route sends packets here all the same.
  await cluster.lab.must('router', 'ip', 'route', 'add', vip4, 'via', '203.0.113.11', 'metric', '1');
  await client.call('startEcho', { as: 'stray', address: vip4, port: echoPort, flows: 4, perSecond: 50 });
  const { code, stderr } = await lb1.spillway('node', 'drain', '--timeout', '3s');
  await client.call('stopEcho', 'stray');
  await cluster.lab.must('router', 'ip', 'route', 'del', vip4, 'via', '203.0.113.11', 'metric', '1');
  t.is(code, 1);
  t.regex(stderr, /after 3 s: .*packets a second; the node stays withdrawn/);
  t.is(await lifeOf(lb1), 'DRAINING');
  await until('the traffic has gone', async () => (await lifeOf(lb1)) === 'STOPPED');
  for (const agent of cluster.agents) t.is((await agent.spillway('node', 'activate')).code, 0);
  await routedTo('lb1', 'lb2');
});

test.serial('an agent that is ended and started again changes no route and loses no packet', async (t) => {
  const [lb1] = cluster.agents;
  const changes = await routeChanges(() =>
    underTraffic(t, async () => {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await lb1.kill(signal);
        await lb1.start();
        await until('it is active', async () => (await lifeOf(lb1)) === 'ACTIVE');
      }
    }),
  );
  t.deepEqual(changes, []);
  await routedTo('lb1', 'lb2');
});

test.serial('VIPs without a healthy backend are withdrawn, and come back', async (t) => {
  const check = { ...quickCheck, port: 81 };
  const [lb1, lb2] = cluster.agents;
  const nobody = web([tcp(80, 'servers', { healthCheck: check })], [group('servers')]);
  await cluster.apply(nobody);
  await routedTo();
  const { routes } = await lb1.client.cluster.get();
  t.regex(routes!.vips[0]!.reason, /^no healthy backend on any listener, 1 needed/);
  await cluster.apply(desired);
  await cluster.allHealthy();
  await routedTo('lb1', 'lb2');
  t.is(await lifeOf(lb2), 'ACTIVE');
});

test.serial('a changed health check changes no route and loses no packet', async (t) => {
  const check = { ...quickCheck, http: { method: 'GET' as const, path: '/other' } };
  const changed = web([tcp(80, 'servers', { healthCheck: check }), udp(echoPort, 'servers')], [group('servers')]);
  const changes = await routeChanges(() =>
    underTraffic(t, async () => {
      for (const config of [changed, desired]) {
        await cluster.apply(config);
        await cluster.allHealthy();
      }
    }),
  );
  t.deepEqual(changes, []);
});

test.serial('with node.onTermination drain the traffic moves before the agent ends', async (t) => {
  const [lb1] = cluster.agents;
  lb1.configure({ node: { name: 'lb1', drainTimeout: '20s', onTermination: 'drain' } });
  await lb1.kill('SIGTERM');
  await lb1.start();
  await routedTo('lb1', 'lb2');
  await underTraffic(t, async () => {
    await lb1.kill('SIGTERM');
    t.deepEqual(await nodesOf(vip4), ['lb2']);
    t.regex(lb1.log, /the traffic has moved: ending/);
    await lb1.start();
    await routedTo('lb1', 'lb2');
  });
  lb1.configure({ node: { name: 'lb1', drainTimeout: '20s' } });
  await lb1.kill('SIGTERM');
  await lb1.start();
  await routedTo('lb1', 'lb2');
});

/** What systemd would hear, line by line: there are no datagram sockets of this kind in Node.js. */
const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True: print(s.recv(4096).decode().replace('\\n', '; '), flush=True)
`;

test.serial('systemd hears that the agent serves, where the node is, that it lives, and that it ends', async (t) => {
  const [lb1] = cluster.agents;
  const path = `${cluster.lab.directory()}/notify`;
  const systemd = spawn('python3', ['-c', listener, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => systemd.kill());
  let heard = '';
  systemd.stdout.setEncoding('utf8').on('data', (more: string) => {
    heard += more;
  });
  const hears = (line: RegExp): Promise<unknown> => until(`${line} in ${heard}`, () => line.test(heard));
  await hears(/^bound$/m);
  await lb1.kill('SIGTERM');
  const given = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' };
  Object.assign(process.env, given);
  try {
    await lb1.start();
  } finally {
    for (const name of Object.keys(given)) delete process.env[name];
  }
  await hears(/^READY=1$/m);
  await hears(/^STATUS=active, 2 of 2 VIPs announced, 1 of 1 peers heard$/m);
  await hears(/^WATCHDOG=1\n(.*\n)*WATCHDOG=1$/m);
  await lb1.kill('SIGTERM');
  await hears(/^STOPPING=1; EXTEND_TIMEOUT_USEC=10000000$/m);
  await lb1.start();
  await routedTo('lb1', 'lb2');
  t.pass();
});

test.serial('a detach withdraws before the data plane goes', async (t) => {
  const [, lb2] = cluster.agents;
  await underTraffic(t, async () => {
    const { code, stderr } = await lb2.spillway('detach', '--yes');
    t.is(code, 0, stderr);
    await lb2.ended();
    t.deepEqual(await nodesOf(vip4), ['lb1']);
  });
  await lb2.start();
  await routedTo('lb1', 'lb2');
});
