import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { Agent } from '../support/lab/agent.js';
import { Cluster, echoPort } from '../support/lab/cluster.js';
import { group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { vip4, vip6 } from '../support/lab/lab.js';
import { until } from '../support/lab/until.js';

let cluster: Cluster;
const desired = web([tcp(80, 'servers', { healthCheck: quickCheck }), udp(echoPort, 'servers')], [group('servers')]);

test.before(async () => {
  cluster = await Cluster.start(`at-l-${process.pid}`);
  await cluster.apply(desired);
  await cluster.allHealthy();
});
test.after.always(() => cluster?.close());

/** Of the pinned link: the attachment itself, and the program that it runs now. */
function link(agent: Agent, pin = 'eth0'): { id: number; prog_id: number } {
  return JSON.parse(`${execFileSync('bpftool', ['-j', 'link', 'show', 'pinned', `${agent.pins}/link/${pin}`])}`);
}

async function xdpOn(agent: Agent, name = 'eth0'): Promise<number | null> {
  const shown = JSON.parse(await cluster.lab.must(agent.host, 'ip', '-j', '-d', 'link', 'show', 'dev', name));
  return shown[0].xdp?.prog?.id ?? null;
}

async function serves(t: ExecutionContext, count = 40): Promise<void> {
  for (const address of [vip4, vip6]) {
    const answers = await cluster.client.call('requests', { address, port: 80, count });
    t.deepEqual(
      answers.map(({ error }) => error).filter((error) => error !== ''),
      [],
      address,
    );
  }
}

/** Requests and datagrams over both load balancers while `task` runs: all are answered. */
async function underTraffic(t: ExecutionContext, task: () => Promise<unknown>): Promise<void> {
  const { client } = cluster;
  await client.call('startEcho', { as: 'echo', address: vip4, port: echoPort, flows: 6, perSecond: 50 });
  await client.call('startRequests', { as: 'http', address: vip4, port: 80, perSecond: 50 });
  await until('traffic flows', async () => (await client.call('echoReport', 'echo')).received > 100);
  await task();
  const [echo, http] = [await client.call('stopEcho', 'echo'), await client.call('stopRequests', 'http')];
  t.deepEqual(http.failures, []);
  t.deepEqual(echo.missing.flat(), [], `of ${echo.sent} datagrams`);
  t.is(echo.duplicates, 0);
  for (const backends of echo.backends) t.is(backends.length, 1, 'a session stays with its backend');
}

test.serial('kill -9 of both agents under traffic loses no packet, nor does their return', async (t) => {
  await underTraffic(t, async () => {
    await Promise.all(cluster.agents.map((agent) => agent.kill('SIGKILL')));
    t.is((await cluster.client.call('request', { address: vip4, port: 80 })).error, '', 'served without any agent');
    await Promise.all(cluster.agents.map((agent) => agent.start()));
  });
});

test.serial('a restarted agent takes over sessions, health and its program’s place on the link', async (t) => {
  const [agent] = cluster.agents;
  await cluster.client.call('startEcho', { as: 'session', address: vip4, port: echoPort, flows: 12, perSecond: 10 });
  const sessionsOf = async (): Promise<string[]> => {
    const { sessions } = await agent.client.sessions.list({ filter: { protocol: 'UDP', state: 'ESTABLISHED' } });
    return sessions.map(({ clientPort, backend }) => `${clientPort} ${backend}`).sort();
  };
  const before = await until('lb1 has sessions', async () => {
    const sessions = await sessionsOf();
    return sessions.length > 0 && sessions;
  });
  const healthBefore = (await agent.client.status.get()).listeners[0]!.backends;
  const linkBefore = link(agent);

  await agent.kill('SIGKILL');
  await agent.start();
  const { listeners, node, problems } = await agent.client.status.get();
  const after = await sessionsOf();
  t.deepEqual(
    before.filter((session) => !after.includes(session)),
    [],
  );
  for (const [i, backend] of listeners[0]!.backends.entries()) {
    t.is(backend.health, 'HEALTHY');
    t.deepEqual(backend.since, healthBefore[i]!.since);
  }
  t.like(node!.attachments[0], { interface: 'eth0', mode: 'native', attached: true });
  t.deepEqual(problems, []);
  t.is(link(agent).id, linkBefore.id);
  t.not(link(agent).prog_id, linkBefore.prog_id);
  const echo = await cluster.client.call('stopEcho', 'session');
  t.deepEqual(echo.missing.flat(), []);
});

test.serial('SIGTERM leaves forwarding in place', async (t) => {
  await underTraffic(t, async () => {
    await Promise.all(cluster.agents.map((agent) => agent.kill('SIGTERM')));
    for (const agent of cluster.agents) t.not(await xdpOn(agent), null);
    await serves(t);
    await Promise.all(cluster.agents.map((agent) => agent.start()));
  });
});

test.serial('a second agent on the same socket is refused, and the first does not notice', async (t) => {
  const [agent] = cluster.agents;
  const programBefore = link(agent).prog_id;
  const { code, stderr } = await agent.run();
  t.is(code, 1);
  t.regex(stderr, new RegExp(`another agent listens on ${agent.socket}: stop it, or set listen.unix to another path`));
  t.is(link(agent).prog_id, programBefore);
  t.is((await agent.client.status.get({ summary: true })).node!.pid, agent.pid);
});

test.serial('a damaged configuration is set aside and told, and the one before is in force', async (t) => {
  const [agent] = cluster.agents;
  const { version } = await agent.client.config.get();
  await agent.client.config.createListener({ loadBalancer: 'web', listener: tcp(81, 'servers') });
  await agent.kill('SIGKILL');
  const file = `${agent.stateDirectory}/config.json`;
  const whole = statSync(file).size;
  writeFileSync(file, 'x', { flag: 'r+' });
  await agent.start();
  const restored = await agent.client.config.get();
  t.is(restored.version, version);
  t.deepEqual(
    restored.config!.loadBalancers[0]!.listeners.map(({ port }) => port),
    [80, echoPort],
  );
  const { problems } = await agent.client.status.get({ summary: true });
  t.regex(
    problems.join('\n'),
    /config\.json is damaged \(.+\), set aside as .+; the state before the last apply is in force/,
  );
  const aside = readdirSync(agent.stateDirectory).filter((name) => name.startsWith('config.json.damaged'));
  t.is(aside.length, 1);
  t.is(statSync(`${agent.stateDirectory}/${aside[0]}`).size, whole);
  await serves(t);
});

test.serial('an interface that is missing is told, and attached when it appears', async (t) => {
  const { lab, agents } = cluster;
  const [agent] = agents;
  await agent.kill('SIGTERM');
  const wider = new Agent(lab, 'lb1', { interfaces: ['eth0', 'late.0'] });
  await wider.start();
  const attachments = async () => (await wider.client.status.get({ summary: true })).node!.attachments;
  t.like((await attachments())[1], { interface: 'late.0', attached: false });
  const { problems } = await wider.client.status.get({ summary: true });
  t.deepEqual(problems, [
    "interface late.0 does not exist: it is attached when it appears; create it, or correct the agent's interfaces",
  ]);

  await lab.must('lb1', 'ip', 'link', 'add', 'late.0', 'type', 'veth', 'peer', 'name', 'late1');
  await until('late.0 is attached', async () => (await attachments())[1]!.attached);
  t.not(await xdpOn(wider, 'late.0'), null);
  t.regex(await lab.must('lb1', 'tc', 'filter', 'show', 'dev', 'late.0', 'egress'), /direct-action/);
  for (const end of ['late.0', 'late1']) await lab.must('lb1', 'ip', 'link', 'set', end, 'up');
  await until('nothing is wrong', async () => {
    return (await wider.client.status.get({ summary: true })).problems.length === 0;
  });

  const before = link(wider, 'late:0');
  await wider.kill('SIGKILL');
  await wider.start();
  t.is(link(wider, 'late:0').id, before.id, 'a name with a dot is found again');
  await wider.stop();
  await agent.start();
  t.is(await xdpOn(agent, 'late.0'), null, 'the next agent’s configuration names it no more');
  t.false(existsSync(`${agent.pins}/link/late:0`));
  await serves(t);
});

test.serial(
  'pins of another layout are refused, with what was found and what to do, and left as they are',
  async (t) => {
    const { lab } = cluster;
    const other = new Agent(lab, 'lb2', {
      instance: `${lab.name}-odd`,
      listen: { unix: `/run/spillway/${lab.name}/odd.sock` },
      stateDirectory: lab.directory('agents', 'odd'),
    });
    const pin = `/sys/fs/bpf/spillway/${lab.name}-odd/map/services`;
    execFileSync('mkdir', ['-p', `/sys/fs/bpf/spillway/${lab.name}-odd/map`]);
    const shape = ['type', 'array', 'key', '4', 'value', '24', 'entries', '8', 'name', 'services_v9'];
    execFileSync('bpftool', ['map', 'create', pin, ...shape]);
    const { code, stderr } = await other.run();
    other.client.close();
    t.is(code, 1);
    t.regex(stderr, /map\/services has layout 9 \(services_v9, key 4, value 24 bytes\); this agent knows layout 2/);
    t.regex(
      stderr,
      /Run the agent that made it, or detach it \(spillwayd --detach with this --config: traffic to its VIPs stops\)/,
    );
    t.true(existsSync(pin));
    t.is((await other.run('--detach')).code, 0);
    t.false(existsSync(pin));
  },
);

test.serial('a missing map under an attached program is told, and costs no session', async (t) => {
  const [agent] = cluster.agents;
  await agent.kill('SIGKILL');
  renameSync(`${agent.pins}/map/details`, `${agent.pins}/map/elsewhere`);
  const { code, stderr } = await agent.run();
  t.is(code, 1);
  t.regex(stderr, /map\/details is missing, but the program is attached \(eth0\): run the agent that made the maps/);
  await serves(t);
  renameSync(`${agent.pins}/map/elsewhere`, `${agent.pins}/map/details`);
  await agent.start();
  await serves(t);
});

test.serial('detach by CLI and by spillwayd removes every trace; the next start serves again', async (t) => {
  const [first, second] = cluster.agents;
  const traces = async (agent: Agent) => ({
    pinned: agent.pinned,
    xdp: (await xdpOn(agent)) !== null,
    filter: (await cluster.lab.must(agent.host, 'tc', 'filter', 'show', 'dev', 'eth0', 'egress')) !== '',
  });
  const all = { pinned: true, xdp: true, filter: true };
  const nothing = { pinned: false, xdp: false, filter: false };
  for (const agent of cluster.agents) t.deepEqual(await traces(agent), all);

  const byCli = await first.spillway('detach', '--yes');
  t.like(byCli, { code: 0, stdout: 'detached from eth0\n' });
  await first.ended();
  t.deepEqual(await traces(first), nothing);

  const refused = await second.run('--detach');
  t.is(refused.code, 1, 'a running agent would attach again');
  t.regex(refused.stderr, /an agent listens on .+: run spillway detach, or stop it first/);
  t.deepEqual(await traces(second), all);
  await second.kill('SIGTERM');
  const byAgent = await second.run('--detach');
  t.like(byAgent, { code: 0, stdout: 'detached from eth0\n' });
  t.deepEqual(await traces(second), nothing);
  t.like(await second.run('--detach'), { code: 0, stdout: 'nothing was attached\n' });
  const unserved = await cluster.client.call('request', { address: vip4, port: 80, timeoutMs: 500 });
  t.not(unserved.error, '');

  await Promise.all(cluster.agents.map((agent) => agent.start()));
  await cluster.allHealthy();
  await serves(t);
});
