/** Three nodes that tell each other of what they check: real agents, real probes, verdicts in the sessions' stream. */
import anyTest, { type TestFn } from 'ava';
import type { messages } from '../../src/api/client.js';
import { Agent, type LbName } from '../support/lab/agent.js';
import type { BackendMethods } from '../support/lab/backend.js';
import { type ConfigInput, group, quickCheck, tcp, udp, web } from '../support/lab/desired.js';
import { type BackendName, backendNames, Lab, vip4, vip6 } from '../support/lab/lab.js';
import type { Peer } from '../support/lab/peer.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest as TestFn;
const hosts = ['lb1', 'lb2', 'lb3'] as const;
let lab: Lab;
let clientPort = 1024;
let agents: Record<(typeof hosts)[number], Agent>;
let backends: Record<BackendName, Peer<BackendMethods>>;

const zones: Readonly<Record<BackendName, string>> = { be1: 'a', be2: 'a', be3: 'b' };
const servers = group('servers');
const members = servers.backends!.map((one) => ({ ...one, zone: zones[one!.name as BackendName] }));
const locality = { preferOwnZone: true };
const desired = web(
  [
    tcp(80, 'servers', { healthCheck: quickCheck }),
    tcp(81, 'servers', { healthCheck: { ...quickCheck, port: 80 }, locality }),
    udp(7, 'servers', { healthCheck: { ...quickCheck, port: 80 } }),
  ],
  [{ ...servers, backends: members }],
);

const settings = (host: LbName): Readonly<Record<string, unknown>> => ({
  node: { name: host, zone: host === 'lb3' ? 'b' : 'a' },
  sync: { interface: 'eth0', group: '239.255.83.87' },
});

test.before(async () => {
  lab = await Lab.up(`ag-${process.pid}`, { cluster: 'one zone' });
  agents = Object.fromEntries(hosts.map((host) => [host, new Agent(lab, host, settings(host))])) as typeof agents;
  backends = Object.fromEntries(backendNames.map((name) => [name, lab.backend(name)])) as typeof backends;
  await Promise.all([...hosts.map((host) => agents[host].start()), ...backendNames.map((name) => serve(name))]);
});
test.beforeEach((t) => t.timeout(90_000 * patience));
test.after.always(async () => {
  await Promise.allSettled([
    ...Object.values(agents ?? {}).map((agent) => agent.stop()),
    ...Object.values(backends ?? {}).map((peer) => peer.close()),
  ]);
  await lab?.down();
});

function serve(name: BackendName): Promise<unknown> {
  return backends[name].call('start', { name, tcp: [80], udp: 7, vips: [vip4, vip6] });
}

async function seenBy(host: (typeof hosts)[number], name: string): Promise<messages.BackendStatus> {
  const { listeners } = await agents[host].client.status.get();
  return listeners.find(({ port }) => port === 80)!.backends.find((one) => one.name === name)!;
}

/** From one node to the next, as a controller does it. */
async function apply(config: ConfigInput): Promise<void> {
  for (const host of hosts) await agents[host].client.config.apply({ config });
}

async function hearEachOther(): Promise<void> {
  await until(
    'each node hears two others that want the same',
    async () => {
      const views = await Promise.all(hosts.map((host) => agents[host].client.cluster.get()));
      return views.every(
        ({ nodes }) => (nodes.length === 3 && nodes.every((one) => one.alive && !one.configDiffers)) || null,
      );
    },
    { withinMs: 20_000 },
  );
}

async function allAreHealthy(): Promise<void> {
  await until(
    'every node sees every backend healthy',
    async () => {
      const all = await Promise.all(hosts.flatMap((host) => backendNames.map((name) => seenBy(host, name))));
      return all.every(({ health, agreedHealth }) => health === 'HEALTHY' && agreedHealth === 'HEALTHY');
    },
    { withinMs: 20_000 },
  );
}

/** Probes of this node do not come through; packets of clients do. `to`: one backend alone. */
function breakProbes(host: (typeof hosts)[number], how: 'add' | 'del', to?: BackendName): Promise<unknown> {
  const mark = to === undefined ? '0x53570000/0xffff0000' : `0x5357000${to.slice(2)}`;
  return lab.must(host, 'ip', 'rule', how, 'fwmark', mark, 'unreachable');
}

test.serial('what lb1 alone sees fail keeps its traffic there, and status says what the others see', async (t) => {
  await apply(desired);
  await hearEachOther();
  await allAreHealthy();
  await breakProbes('lb1', 'add', 'be1');
  const { reason, agreedHealth, up } = await until('lb1 sees be1 fail', async () => {
    const status = await seenBy('lb1', 'be1');
    return status.health === 'UNHEALTHY' && status;
  });
  t.deepEqual({ agreedHealth, up }, { agreedHealth: 'HEALTHY', up: true });
  t.regex(reason, /; unhealthy here, but 1 of 2 nodes sees it healthy: it takes traffic$/);
  t.like(await seenBy('lb2', 'be1'), { health: 'HEALTHY', agreedHealth: 'HEALTHY' });
  await until('explain says so of a flow that goes there', async () => {
    const flow = { protocol: 'TCP' as const, client: '198.51.100.7', vip: vip4, vipPort: 80, syn: true };
    const told = await agents.lb1.client.sessions.explain({ ...flow, clientPort: clientPort++ });
    return told.backend === 'be1' && told.steps.at(-1)!.startsWith('its checks fail on this node alone');
  });
});

test.serial('so it is while a configuration goes round, and when the agent starts again', async (t) => {
  const backend = { name: 'be3', weight: 99 };
  for (const host of hosts) {
    await agents[host].client.config.updateBackend({
      backendGroup: 'servers',
      backend,
      updateMask: { paths: ['weight'] },
    });
    t.like(await seenBy('lb1', 'be1'), { health: 'UNHEALTHY', agreedHealth: 'HEALTHY', up: true });
  }
  await agents.lb1.kill('SIGKILL');
  await agents.lb1.start();
  // What was found last may not be on disk yet when an agent is killed: then it is found again.
  await until('lb1 sees be1 fail again', async () => {
    const { health, agreedHealth, up } = await seenBy('lb1', 'be1');
    t.deepEqual({ agreedHealth, up }, { agreedHealth: 'HEALTHY', up: true });
    return health === 'UNHEALTHY';
  });
  await hearEachOther();
  t.like(await seenBy('lb1', 'be1'), { health: 'UNHEALTHY', agreedHealth: 'HEALTHY', up: true });
  await breakProbes('lb1', 'del', 'be1');
  await allAreHealthy();
});

test.serial('a node that alone sees all of them fail is suspect, says so, and serves on', async (t) => {
  await breakProbes('lb1', 'add');
  await until('lb2 knows that lb1 is suspect', async () => {
    const { nodes } = await agents.lb2.client.cluster.get();
    return nodes.some(({ name, suspect }) => name === 'lb1' && suspect);
  });
  const { problems } = await agents.lb1.client.status.get({ summary: true });
  t.regex(problems.join('\n'), /this node alone sees more than 50 % of the backends fail/);
  for (const name of backendNames) {
    await until(`lb1 sees ${name} fail`, async () => (await seenBy('lb1', name)).health === 'UNHEALTHY');
    t.like(await seenBy('lb1', name), { agreedHealth: 'HEALTHY', up: true });
  }
  await breakProbes('lb1', 'del');
  await allAreHealthy();
  t.deepEqual((await agents.lb1.client.status.get({ summary: true })).problems, []);
});

test.serial('a backend whose server dies leaves on all nodes, and comes back on all', async (t) => {
  await backends.be2.call('stopHttp');
  await until('be2 is out everywhere', async () => {
    const all = await Promise.all(hosts.map((host) => seenBy(host, 'be2')));
    return all.every(({ agreedHealth, up }) => agreedHealth === 'UNHEALTHY' && !up);
  });
  await backends.be2.call('startHttp', [80]);
  await allAreHealthy();
  t.pass();
});

/** Backend by flow, as a node says it is. */
async function chosen(host: (typeof hosts)[number], port: number, flows: number): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < flows; i++) {
    const { backend } = await agents[host].client.sessions.explain({
      protocol: 'TCP',
      client: i % 2 === 0 ? `198.51.100.${i % 250}` : `2001:db8:100::${i.toString(16)}`,
      clientPort: 1024 + i * 13,
      vip: i % 2 === 0 ? vip4 : vip6,
      vipPort: port,
      syn: true,
    });
    found.push(backend);
  }
  return found;
}

test.serial('of 1,000 flows two nodes say the same, whatever one of them has been through', async (t) => {
  const aside = { ...servers, name: 'aside', backends: [...servers.backends!].reverse() };
  const others = [
    web([tcp(8080, 'aside', { healthCheck: quickCheck })], [aside]),
    web([tcp(80, 'aside', { healthCheck: quickCheck })], [aside, { ...servers, backends: members.slice(1) }]),
    web([tcp(80, 'servers'), tcp(9000, 'aside')], [aside, { ...servers, backends: [...members].reverse() }]),
  ];
  for (const config of others) await agents.lb2.client.config.apply({ config });
  await apply(desired);
  await hearEachOther();
  await allAreHealthy();
  const [one, two] = [await chosen('lb1', 80, 1000), await chosen('lb2', 80, 1000)];
  t.deepEqual(two, one);
  t.deepEqual([...new Set(one)].sort(), ['be1', 'be2', 'be3']);
});

test.serial("a listener that prefers the own zone's backends goes to those, on each node to its own", async (t) => {
  t.deepEqual([...new Set(await chosen('lb1', 81, 100))].sort(), ['be1', 'be2']);
  t.deepEqual([...new Set(await chosen('lb3', 81, 100))], ['be3']);
  const flow = { protocol: 'TCP' as const, client: '198.51.100.7', clientPort: 1, vip: vip4, vipPort: 81, syn: true };
  const { steps } = await agents.lb1.client.sessions.explain(flow);
  t.true(steps.includes('zone a prefers its own backends: 2 of 2 healthy, and they take all'), steps.join('\n'));
  const { listeners } = await agents.lb1.client.status.get();
  const there = listeners.find(({ port }) => port === 81)!.backends;
  t.deepEqual(
    there.map(({ name, effectiveWeight }) => [name, effectiveWeight]),
    [
      ['be1', 100],
      ['be2', 100],
      ['be3', 0],
    ],
  );
});

test.serial('where a client went by one node, its next connection goes by every other', async (t) => {
  const keeps = { scheduler: 'RR' as const, sourcePersistence: { seconds: 600 } };
  await apply(web([tcp(80, 'servers', { ...keeps, healthCheck: quickCheck })], [{ ...servers, backends: members }]));
  await hearEachOther();
  await allAreHealthy();
  await lab.must('router', 'ip', 'route', 'add', vip4, 'via', '203.0.113.11');
  const hello = JSON.parse(await lab.must('client', 'curl', '-sf', `http://${vip4}/`)) as {
    backend: string;
    client: string;
  };
  await lab.must('router', 'ip', 'route', 'del', vip4, 'via', '203.0.113.11');
  const flow = { protocol: 'TCP' as const, client: hello.client, clientPort: 7, vip: vip4, vipPort: 80, syn: true };
  for (const host of hosts) {
    const told = await until(`${host} knows the client`, async () => {
      const said = await agents[host].client.sessions.explain(flow);
      return (
        said.steps.some((step) => step.startsWith("source persistence: the client's last connection says")) && said
      );
    });
    t.is(told.backend, hello.backend);
  }
});
