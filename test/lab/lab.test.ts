import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { until } from '../support/lab/until.js';

const LAB = fileURLToPath(new URL('../../../scripts/lab', import.meta.url));
const NAMESPACES = '/run/netns';
const PINS = '/sys/fs/bpf/spillway';
const NAME = `t${process.pid}a`;
const OTHER = `t${process.pid}b`;

interface Status {
  readonly name: string;
  readonly state: 'up' | 'broken' | 'down';
  readonly hosts: readonly {
    readonly host: string;
    readonly missing: boolean;
    readonly interfaces: readonly {
      readonly name: string;
      readonly mtu: number;
      readonly addresses: readonly string[];
      readonly xdp: { readonly mode: string; readonly program: string } | null;
    }[];
    readonly processes: readonly { readonly pid: number; readonly command: string }[];
  }[];
}

function lab(args: readonly string[], input = ''): SpawnSyncReturns<string> {
  return spawnSync(LAB, args, { encoding: 'utf8', input });
}

function onHost(name: string, host: string, ...command: string[]): SpawnSyncReturns<string> {
  return lab(['exec', host, '--name', name, '--', ...command]);
}

function statusOf(name: string): Status {
  return JSON.parse(lab(['status', '--name', name, '--json']).stdout) as Status;
}

function tracesOf(name: string): string[] {
  const named = (folder: string, prefix: string): string[] =>
    existsSync(folder) ? readdirSync(folder).filter((entry) => entry.startsWith(prefix)) : [];
  return [...named(NAMESPACES, `sw-${name}-`), ...named(PINS, name), ...named('/run/spillway', name)];
}

test.before(() => {
  const up = lab(['up', '--name', NAME]);
  if (up.status !== 0) throw new Error(`lab up: ${up.stderr}`);
});

test.after.always(() => {
  for (const name of [NAME, OTHER]) lab(['down', '--name', name]);
});

test.serial('up again says that the lab is there and changes nothing', (t) => {
  const mark = onHost(NAME, 'be1', 'ip', 'address', 'add', '203.0.113.99/32', 'dev', 'lo');
  t.is(mark.status, 0);
  const again = lab(['up', '--name', NAME]);
  t.is(again.status, 0);
  t.regex(again.stdout, /already up/);
  t.is(onHost(NAME, 'be1', 'ip', 'address', 'del', '203.0.113.99/32', 'dev', 'lo').status, 0);
});

test.serial('status as JSON names every host with its addresses and the XDP programs of the switch', (t) => {
  const status = statusOf(NAME);
  t.is(status.state, 'up');
  t.deepEqual(
    status.hosts.map((host) => host.host),
    ['client', 'router', 'bridge', 'lb1', 'lb2', 'be1', 'be2', 'be3'],
  );
  const interfaceOf = (host: string, name: string) =>
    status.hosts.find((entry) => entry.host === host)?.interfaces.find((entry) => entry.name === name);
  t.deepEqual(interfaceOf('lb2', 'eth0')?.addresses, ['203.0.113.12/24', '2001:db8:200::12/64']);
  t.is(interfaceOf('lb2', 'eth0')?.mtu, 1600);
  t.is(interfaceOf('client', 'eth0')?.mtu, 1500);
  t.true(interfaceOf('be3', 'lo')?.addresses.includes('2001:db8:10::15/128'));
  for (const port of ['lb1', 'lb2', 'be1', 'be2', 'be3']) {
    t.like(interfaceOf('bridge', port)?.xdp, { mode: 'native', program: 'xdp_pass' });
  }
});

test.serial('the router spreads connections to a VIP over both balancers, and one connection takes one way', (t) => {
  for (const [vip, client] of [
    ['192.0.2.10', '198.51.100.2'],
    ['2001:db8:10::10', '2001:db8:100::2'],
  ] as const) {
    const wayOf = (port: number): string => {
      const asked = ['route', 'get', vip, 'from', client, 'iif', 'eth0', 'ipproto', 'tcp', 'dport', '80'];
      const answer = onHost(NAME, 'router', 'ip', ...asked, 'sport', String(port));
      return /via (\S+)/.exec(answer.stdout)?.[1] ?? answer.stderr;
    };
    const ports = Array.from({ length: 16 }, (_, index) => 40_000 + index);
    const ways = ports.map(wayOf);
    t.is(new Set(ways).size, 2, `${vip}: ${ways.join(' ')}`);
    t.deepEqual(ports.map(wayOf), ways);
  }
});

test.serial('exec passes arguments, standard input, output and the exit code', (t) => {
  const script = 'read -r line; echo "$line on $SPILLWAY_HOST of $SPILLWAY_LAB: $1"; exit 7';
  const run = lab(['exec', 'be1', '--name', NAME, '--', 'bash', '-c', script, '_', 'two words --json'], 'a line\n');
  t.is(run.stdout, `a line on be1 of ${NAME}: two words --json\n`);
  t.is(run.status, 7);
});

test.serial("exec gives a balancer its agent's socket and everyone the host's bpffs", (t) => {
  const socket = onHost(NAME, 'lb1', 'printenv', 'SPILLWAY_SOCKET').stdout;
  t.is(socket, `unix:/run/spillway/${NAME}/lb1.sock\n`);
  t.not(onHost(NAME, 'client', 'printenv', 'SPILLWAY_SOCKET').status, 0);
  const pin = `${PINS}/${NAME}-lb1`;
  t.is(onHost(NAME, 'lb1', 'mkdir', '-p', pin).status, 0);
  t.true(existsSync(pin));
});

test.serial('wrong usage exits 2, what is not there exits 1', (t) => {
  t.is(lab(['up', '--name', 'Not_a_name']).status, 2);
  t.is(lab(['exec', 'nobody', '--name', NAME, '--', 'true']).status, 2);
  t.is(lab(['exec', 'be1', '--name', NAME]).status, 2);
  t.is(lab(['exec', 'be1', '--name', OTHER, '--', 'true']).status, 1);
  t.is(lab(['status', '--name', OTHER]).status, 1);
});

test.serial('two labs have the same addresses and do not hear each other', (t) => {
  t.is(lab(['up', '--name', OTHER]).status, 0);
  t.is(onHost(OTHER, 'be1', 'ip', 'link', 'set', 'eth0', 'down').status, 0);
  const reaches = (name: string): boolean =>
    onHost(name, 'client', 'ping', '-q', '-c', '1', '-W', '1', '203.0.113.21').status === 0;
  t.true(reaches(NAME));
  t.false(reaches(OTHER));
  t.is(lab(['down', '--name', OTHER]).status, 0);
  t.deepEqual(tracesOf(OTHER), []);
  t.true(reaches(NAME));
});

/** What a balancer's BIRD has to say to be taken by the router: as in the header of scripts/lab. */
function birdConfig(number: number): string {
  const announce = (family: 4 | 6, neighbor: string, prefix: string): string =>
    `protocol static { ipv${family}; route ${prefix} blackhole; }
     protocol bgp { local as 64497; neighbor ${neighbor} as 64496; direct; bfd on; connect delay time 1;
       ipv${family} { import none; export all; next hop self; }; }`;
  return `router id 203.0.113.1${number};
    protocol device {}
    protocol bfd { interface "eth0" { interval 100 ms; multiplier 3; }; }
    ${announce(4, '203.0.113.1', '192.0.2.10/32')}
    ${announce(6, '2001:db8:200::1', '2001:db8:10::10/128')}`;
}

test.serial(
  'a cluster’s router sends VIPs to the balancers that announce them, and its BIRD ends with the lab',
  async (t) => {
    t.is(lab(['up', '--name', OTHER, '--cluster']).status, 0);
    const hosts = statusOf(OTHER).hosts.map((host) => host.host);
    t.deepEqual(hosts, ['client', 'router', 'bridge', 'lb1', 'lb2', 'lb3', 'be1', 'be2', 'be3']);
    const twice = lab(['up', '--name', OTHER]);
    t.is(twice.status, 1);
    t.regex(twice.stderr, /is up with another topology \(.+, 3 balancers, routes by BGP\)/);

    const nextHops = (vip: string, family: '-4' | '-6'): number =>
      onHost(OTHER, 'router', 'ip', family, 'route', 'show', vip).stdout.match(/via /g)?.length ?? 0;
    t.is(nextHops('192.0.2.10', '-4'), 0);
    const folder = `/run/spillway/${OTHER}/test`;
    mkdirSync(folder);
    for (const number of [1, 3]) {
      const at = `${folder}/lb${number}`;
      writeFileSync(`${at}.conf`, birdConfig(number));
      const started = onHost(OTHER, `lb${number}`, 'bird', '-c', `${at}.conf`, '-s', `${at}.ctl`, '-P', `${at}.pid`);
      t.is(started.status, 0, started.stderr);
    }
    await until('two next hops in both families', () => {
      return nextHops('192.0.2.10', '-4') === 2 && nextHops('2001:db8:10::10', '-6') === 2;
    });

    const pids = ['router/bird', 'test/lb1', 'test/lb3'].map((at) => {
      return readFileSync(`/run/spillway/${OTHER}/${at}.pid`, 'utf8').trim();
    });
    t.is(lab(['down', '--name', OTHER]).status, 0);
    t.deepEqual(tracesOf(OTHER), []);
    for (const pid of pids) t.false(lives(pid), `process ${pid}`);
  },
);

/** PID 1 may not reap: a zombie is dead. */
function lives(pid: string): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test.serial('zones are four balancers', (t) => {
  t.is(lab(['up', '--name', OTHER, '--zones']).status, 0);
  t.is(onHost(OTHER, 'client', 'ping', '-q', '-c', '1', '-W', '1', '203.0.113.14').status, 0);
  t.is(lab(['down', '--name', OTHER]).status, 0);
  t.deepEqual(tracesOf(OTHER), []);
});

test.serial('down ends what runs on the hosts, even what ignores SIGTERM, and removes the pins', async (t) => {
  t.is(lab(['up', '--name', OTHER]).status, 0);
  const stubborn = spawn(LAB, [
    ...['exec', 'be2', '--name', OTHER, '--'],
    ...['bash', '-c', 'trap "" TERM; echo ready; while :; do read -rt 1 _ <> <(:) || :; done'],
  ]);
  await once(stubborn.stdout, 'data');
  t.true(statusOf(OTHER).hosts.some((host) => host.host === 'be2' && host.processes.length > 0));
  mkdirSync(`${PINS}/${OTHER}-lb1/map`, { recursive: true });
  const ended = once(stubborn, 'exit');
  t.is(lab(['down', '--name', OTHER]).status, 0);
  t.deepEqual(await ended, [null, 'SIGKILL']);
  t.deepEqual(tracesOf(OTHER), []);
});

for (const [moment, sign] of [
  ['its first namespace', () => existsSync(`${NAMESPACES}/sw-${OTHER}-client`)],
  ['its last namespace', () => existsSync(`${NAMESPACES}/sw-${OTHER}-be3`)],
] as const) {
  test.serial(`an up that is killed after ${moment} leaves what down removes and up mends`, async (t) => {
    for (const cure of ['down', 'up']) {
      const up = spawn(LAB, ['up', '--name', OTHER], { stdio: 'ignore' });
      const ended = once(up, 'exit');
      await until(`up has made ${moment}`, sign);
      up.kill('SIGKILL');
      t.deepEqual(await ended, [null, 'SIGKILL']);
      t.is(statusOf(OTHER).state, 'broken');
      t.is(lab([cure, '--name', OTHER]).status, 0);
      t.is(statusOf(OTHER).state, cure === 'up' ? 'up' : 'down');
      t.is(lab(['down', '--name', OTHER]).status, 0);
      t.deepEqual(tracesOf(OTHER), []);
    }
  });
}

test.serial('an up that is interrupted takes down what it has made', async (t) => {
  const up = spawn(LAB, ['up', '--name', OTHER], { stdio: 'ignore' });
  const ended = once(up, 'exit');
  await until('up has made a namespace', () => existsSync(`${NAMESPACES}/sw-${OTHER}-client`));
  up.kill('SIGTERM');
  t.deepEqual(await ended, [1, null]);
  t.deepEqual(tracesOf(OTHER), []);
});
