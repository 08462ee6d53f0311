import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import anyTest, { type TestFn } from 'ava';
import type { NextHop } from '../../src/netlink/types.js';
import { until } from '../support/lab/until.js';
import type { AgentCommand, AgentState } from './nexthop_agent.js';

/**
 * a (the agent): eth0 to b, eth1 to c; b and c answer ARP for their networks. Changes of one test are undone by it,
 * since all of them share the namespaces.
 */
const NAME = `sw-t${process.pid}-nh-`;
const AGENT = fileURLToPath(new URL('./nexthop_agent.js', import.meta.url));
const MAC_B = '02:00:5e:00:00:02';

function ip(host: 'a' | 'b' | 'c', command: string): void {
  execFileSync('ip', ['-n', `${NAME}${host}`, ...command.split(' ')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function inside(host: 'a' | 'b' | 'c', command: string): string {
  const [program = '', ...args] = command.split(' ');
  return execFileSync('nsenter', [`--net=/run/netns/${NAME}${host}`, program, ...args], { encoding: 'utf8' });
}

class Agent {
  readonly #child: ChildProcess;
  #state: AgentState | null = null;
  #wake: () => void = () => {};
  #commands = 0;

  constructor(interfaces: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn('nsenter', [`--net=/run/netns/${NAME}a`, process.execPath, AGENT, ...interfaces], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.#state = JSON.parse(line) as AgentState;
      this.#wake();
    });
  }

  send(command: AgentCommand): void {
    this.#commands++;
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  /** The first state that fits, told after the last command; milliseconds until then. */
  async until(what: string, fits: (state: AgentState) => boolean, deadlineMs = 8000): Promise<number> {
    const startedMs = performance.now();
    while (!this.#state || this.#state.command < this.#commands || !fits(this.#state)) {
      const leftMs = startedMs + deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`not within ${deadlineMs} ms: ${what}; last: ${JSON.stringify(this.#state)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return performance.now() - startedMs;
  }

  get state(): AgentState {
    return this.#state!;
  }

  async close(release: boolean): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.send({ close: { release } });
    await exited;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function macOf(hop: NextHop | undefined): string {
  return hop?.state === 'resolved' ? hop.mac : '';
}

function reasonOf(hop: NextHop | undefined): string {
  return hop?.state === 'unresolved' ? hop.reason : '';
}

const test = anyTest.serial as unknown as TestFn<{ agent: Agent }>;

function tearDown(): void {
  for (const host of ['a', 'b', 'c']) {
    try {
      execFileSync('ip', ['netns', 'del', `${NAME}${host}`], { stdio: 'ignore' });
    } catch {
      // It was not there.
    }
  }
}

test.before(() => {
  for (const host of ['a', 'b', 'c'] as const) {
    execFileSync('ip', ['netns', 'add', `${NAME}${host}`]);
    ip(host, 'link set lo up');
  }
  for (const [peer, near] of [
    ['b', 'eth0'],
    ['c', 'eth1'],
  ]) {
    execFileSync('ip', `link add ${near} netns ${NAME}a type veth peer name eth0 netns ${NAME}${peer}`.split(' '));
  }
  ip('b', `link set eth0 address ${MAC_B}`);
  for (const [host, device, network] of [
    ['a', 'eth0', 77],
    ['b', 'eth0', 77],
    ['a', 'eth1', 78],
    ['c', 'eth0', 78],
  ] as const) {
    const last = host === 'a' ? 1 : 2;
    ip(host, `link set ${device} up`);
    ip(host, `address add 10.${network}.0.${last}/16 dev ${device}`);
    ip(host, `address add fd${network}::${last}/64 dev ${device} nodad`);
  }
  inside(
    'b',
    'sysctl -qw net.ipv4.conf.all.arp_notify=1 net.ipv6.conf.all.ndisc_notify=1 net.ipv6.conf.eth0.ndisc_notify=1',
  );
  // Every address of the upper half is b's: it answers ARP for all of them.
  ip('b', 'route add local 10.77.128.0/17 dev lo');
  ip('a', 'route add 192.0.2.0/24 via 10.77.0.2');
  ip('a', 'route add 2001:db8::/32 via fd77::2');
  ip('a', 'route add 198.51.100.0/24 via inet6 fd77::2');
});

test.after.always(tearDown);

test.beforeEach((t) => {
  t.context.agent = new Agent(['eth0']);
});

test.afterEach.always((t) => t.context.agent.kill());

test('addresses of both families are resolved on the link and through a gateway', async (t) => {
  const { agent } = t.context;
  const addresses = ['10.77.0.2', 'fd77::2', '192.0.2.9', '2001:db8::9', '198.51.100.9'];
  agent.send({ set: addresses });
  await agent.until('all resolved', ({ hops }) => addresses.every((address) => macOf(hops[address]) === MAC_B));
  t.like(agent.state.hops['192.0.2.9'], { source: '10.77.0.1', via: '10.77.0.2', mtu: 1500 });
  t.like(agent.state.hops['2001:db8::9'], { source: 'fd77::1', via: 'fd77::2' });
  t.like(agent.state.hops['198.51.100.9'], { source: '10.77.0.1', via: 'fd77::2' });
  t.like(agent.state.interfaces[0], { name: 'eth0', mtu: 1500, up: true });
  t.deepEqual(agent.state.problems, []);
});

test('a changed MAC that is announced is noticed within a second', async (t) => {
  const { agent } = t.context;
  agent.send({ set: ['10.77.0.2', 'fd77::2'] });
  await agent.until('resolved', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B && macOf(hops['fd77::2']) === MAC_B);
  ip('b', 'link set eth0 address 02:00:5e:00:00:99');
  const noticedMs = await agent.until('the new MAC', ({ hops }) =>
    ['10.77.0.2', 'fd77::2'].every((address) => macOf(hops[address]) === '02:00:5e:00:00:99'),
  );
  t.log(`noticed after ${noticedMs.toFixed(0)} ms`);
  t.true(noticedMs < 1000);
  ip('b', `link set eth0 address ${MAC_B}`);
  await agent.until(
    'the old MAC',
    ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B && macOf(hops['fd77::2']) === MAC_B,
  );
});

test('a changed MAC that nobody announces is found on demand', async (t) => {
  const { agent } = t.context;
  agent.send({ set: ['10.77.0.2'] });
  await agent.until('resolved', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B);
  inside('b', 'sysctl -qw net.ipv4.conf.all.arp_notify=0');
  ip('b', 'link set eth0 address 02:00:5e:00:00:98');
  agent.send({ verify: ['10.77.0.2'] });
  const foundMs = await agent.until('the new MAC', ({ hops }) => macOf(hops['10.77.0.2']) === '02:00:5e:00:00:98');
  t.log(`found after ${foundMs.toFixed(0)} ms`);
  t.true(foundMs < 6000);
  inside('b', 'sysctl -qw net.ipv4.conf.all.arp_notify=1');
  ip('b', `link set eth0 address ${MAC_B}`);
  await agent.until('the old MAC', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B);
});

test('a route that changes is followed, one that is missing or leaves elsewhere is explained', async (t) => {
  const { agent } = t.context;
  agent.send({ set: ['192.0.2.9', '203.0.113.9', '10.78.0.2'] });
  await agent.until('resolved', ({ hops }) => macOf(hops['192.0.2.9']) === MAC_B);
  t.regex(reasonOf(agent.state.hops['203.0.113.9']), /^no route to 203.0.113.9: add a route/);
  t.regex(reasonOf(agent.state.hops['10.78.0.2']), /leaves by eth1, which is no interface of this agent \(eth0\)/);
  ip('a', 'route add 203.0.113.0/24 via 10.77.0.2');
  await agent.until('the new route', ({ hops }) => macOf(hops['203.0.113.9']) === MAC_B);
  ip('a', 'route replace 192.0.2.0/24 via 10.78.0.2');
  await agent.until('the other way', ({ hops }) => reasonOf(hops['192.0.2.9']).includes('eth1'));
  ip('a', 'route replace 192.0.2.0/24 via 10.77.0.2 mtu 1400');
  await agent.until('the smaller MTU', ({ hops }) => {
    const hop = hops['192.0.2.9'];
    return hop?.state === 'resolved' && hop.mtu === 1400;
  });
  ip('a', 'route replace 192.0.2.0/24 via 10.77.0.2');
  ip('a', 'route add blackhole 192.0.2.9/32');
  await agent.until('the blackhole', ({ hops }) => reasonOf(hops['192.0.2.9']).includes('blackhole'));
  ip('a', 'route del blackhole 192.0.2.9/32');
  ip('a', 'route del 203.0.113.0/24');
  await agent.until('no route', ({ hops }) => reasonOf(hops['203.0.113.9']).startsWith('no route'));
});

test('an interface that goes down is told at once, and its neighbours come back with it', async (t) => {
  const { agent } = t.context;
  agent.send({ set: ['10.77.0.2', 'fd77::2'] });
  await agent.until('resolved', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B && macOf(hops['fd77::2']) === MAC_B);
  ip('b', 'link set eth0 down');
  const toldMs = await agent.until('down', ({ hops }) => reasonOf(hops['10.77.0.2']).includes('eth0 is down'));
  t.true(toldMs < 1000);
  t.false(agent.state.interfaces[0]?.up);
  ip('b', 'link set eth0 up');
  ip('b', 'address replace fd77::2/64 dev eth0 nodad');
  await agent.until('back', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B && macOf(hops['fd77::2']) === MAC_B);
  t.deepEqual(agent.state.problems, []);
});

test('the neighbours stay managed over a restart, and are released on request', async (t) => {
  const { agent } = t.context;
  const managed = () => inside('a', 'ip neigh show dev eth0 10.77.0.2').includes('managed');
  agent.send({ set: ['10.77.0.2'] });
  await agent.until('resolved', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B);
  await agent.close(false);
  t.true(managed());
  const next = new Agent(['eth0']);
  next.send({ set: ['10.77.0.2'] });
  await next.until('resolved', ({ hops }) => macOf(hops['10.77.0.2']) === MAC_B);
  await next.close(true);
  t.false(managed());
});

test('2,000 addresses are resolved within seconds, and released again', async (t) => {
  const { agent } = t.context;
  const addresses = Array.from({ length: 2000 }, (_, i) => `10.77.${128 + (i >> 8)}.${i & 255}`);
  await agent.until('started', ({ interfaces }) => interfaces.length === 1);
  const before = agent.state.cpuMs;
  agent.send({ set: addresses });
  const tookMs = await agent.until('resolved', ({ hops }) =>
    addresses.every((address) => macOf(hops[address]) === MAC_B),
  );
  t.log(
    `${tookMs.toFixed(0)} ms, ${(agent.state.cpuMs - before).toFixed(0)} ms of CPU, ${agent.state.changes} changes told`,
  );
  t.deepEqual(agent.state.problems, []);
  agent.send({ refresh: true });
  await agent.until('read again', ({ command }) => command === 2);
  t.log(`read again in ${agent.state.settledMs.toFixed(0)} ms`);
  agent.send({ set: [] });
  await until('released', () => !/10\.77\.1[23]\d\.\d+ .*managed/.test(inside('a', 'ip neigh show dev eth0')));
});
