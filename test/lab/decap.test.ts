import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import anyTest, { type TestFn } from 'ava';
import type { AttachResult } from '../../src/backend/attach.js';
import type { InstanceStatus } from '../../src/backend/status.js';
import type { Beats, Transfer } from './decap_peer.js';

/**
 * lb --- backend, by a veth pair with room for outer headers. The lb encapsulates on its way out what goes to one of
 * three VIPs, which are on the backend's lo; the backend answers directly.
 */
const NAME = `sw-t${process.pid}-nl`;
const INSTANCE = `t${process.pid}-nl`;
const PINS = `/sys/fs/bpf/spillway/${INSTANCE}`;
const VIPS = { '4in4': '198.51.100.4', '4in6': '198.51.100.6', '6in6': '2001:db8::6' } as const;
const MIB = 1 << 20;
const run = promisify(execFile);

type Host = 'lb' | 'backend' | 'other';

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

function inside(host: Host, ...command: readonly string[]): readonly [string, readonly string[]] {
  return ['nsenter', [`--net=/run/netns/${NAME}-${host}`, ...command]];
}

function sh(host: Host, command: string): void {
  const [program, args] = inside(host, ...command.split(' '));
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function spillway(host: Host, ...args: readonly string[]): Ended {
  const [program, all] = inside(host, process.execPath, script('decap_command.js'), 'backend', ...args);
  const { status, stdout, stderr } = spawnSync(program, all, { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

function attach(...args: readonly string[]): AttachResult {
  const { code, stdout, stderr } = spillway(
    'backend',
    'attach',
    '--interface',
    'eth0',
    '--instance',
    INSTANCE,
    '--json',
    ...args,
  );
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as AttachResult;
}

function detach(): Ended {
  return spillway('backend', 'detach', '--instance', INSTANCE);
}

function statusOf(...args: readonly string[]): {
  readonly code: number | null;
  readonly instance: InstanceStatus;
  readonly packets: (reason: string) => number;
} {
  const { code, stdout } = spillway('backend', 'status', '--instance', INSTANCE, '--json', ...args);
  const [instance] = (JSON.parse(stdout) as { instances: InstanceStatus[] }).instances;
  const packets = (reason: string) => Number(instance?.counters.find((count) => count.reason === reason)?.packets ?? 0);
  return { code, instance: instance!, packets };
}

async function transfer(vip: string, bytes: number): Promise<Transfer> {
  const [program, args] = inside('lb', process.execPath, script('decap_peer.js'), 'transfer', vip, String(bytes));
  const { stdout } = await run(program, [...args]);
  return JSON.parse(stdout) as Transfer;
}

const test = anyTest.serial as TestFn;
let server: ChildProcess;

function tearDown(): void {
  server?.kill('SIGKILL');
  for (const instance of [INSTANCE, `${INSTANCE}-other`]) {
    if (existsSync(`/sys/fs/bpf/spillway/${instance}`)) execFileSync('rm', ['-rf', `/sys/fs/bpf/spillway/${instance}`]);
  }
  for (const host of ['lb', 'backend', 'other']) spawnSync('ip', ['netns', 'del', `${NAME}-${host}`]);
}

test.before(async () => {
  for (const host of ['lb', 'backend', 'other'] as const) {
    execFileSync('ip', ['netns', 'add', `${NAME}-${host}`]);
    sh(host, 'ip link set lo up');
  }
  sh('lb', `ip link add eth0 mtu 1600 type veth peer name eth0 mtu 1600 netns ${NAME}-backend`);
  sh('other', `ip link add eth0 type veth peer name eth1`);
  sh('other', 'ip link set eth0 up');
  for (const [host, last] of [
    ['lb', 1],
    ['backend', 2],
  ] as const) {
    sh(host, 'ip link set eth0 up');
    sh(host, `ip address add 10.66.0.${last}/24 dev eth0`);
    sh(host, `ip address add fd66::${last}/64 dev eth0 nodad`);
  }
  // Without it checksums are left for a device to fill in that a tunnel hides them from.
  sh('lb', 'ethtool -K eth0 tx off');
  for (const vip of Object.values(VIPS)) {
    const v6 = vip.includes(':');
    sh('lb', `ip route add ${vip} via ${v6 ? 'fd66::2' : '10.66.0.2'} mtu 1500`);
    sh('backend', `ip address add ${vip}/${v6 ? '128 nodad' : '32'} dev lo`);
  }
  sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2');
  sh('lb', 'tc qdisc add dev eth0 clsact');
  sh('lb', `tc filter add dev eth0 egress bpf direct-action object-file ${script('decap_encap.bpf.o')} section tc`);
  const [program, args] = inside('backend', process.execPath, script('decap_peer.js'), 'serve');
  server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => server.stdout!.once('data', resolve));
});

test.after.always(tearDown);
test.afterEach.always(() => {
  detach();
});

test('before anything is attached, a tunnelled connection does not come up', async (t) => {
  t.not((await transfer(VIPS['4in4'], 100)).error, null);
  t.is(spillway('backend', 'status', '--instance', INSTANCE).code, 1);
});

for (const mode of ['native', 'generic'] as const) {
  test(`attached in ${mode} mode, uploads and downloads pass whole for each kind of tunnel`, async (t) => {
    t.like(attach('--mode', mode), { action: 'attached', mode, fallback: null });
    for (const [kind, vip] of Object.entries(VIPS)) {
      const { error, elapsedMs } = await transfer(vip, 8 * MIB);
      t.is(error, null, kind);
      t.true(statusOf().packets(`stripped_${kind}`) > 100, kind);
      t.log(`${kind}: 8 MiB each way in ${elapsedMs.toFixed(0)} ms`);
    }
  });
}

test('attaching again, thirty times under traffic, loses no packet and keeps the counters', async (t) => {
  attach();
  const [program, args] = inside('lb', process.execPath, script('decap_peer.js'), 'beat', VIPS['4in4']);
  const beating = run(program, [...args]);
  const programs = new Set<number>();
  for (let i = 0; i < 30; i++) {
    const result = attach('--from', '10.66.0.0/24');
    t.is(result.action, 'replaced');
    programs.add(result.programId);
  }
  beating.child.stdin!.end();
  const { sent, lost } = JSON.parse((await beating).stdout) as Beats;
  t.log(`${sent} datagrams meanwhile`);
  t.true(sent > 1000);
  t.is(lost, 0);
  t.is(programs.size, 30);
  t.is(statusOf().packets('stripped_4in4'), sent);
});

test('tunnels of strangers, and to other VIPs, are not stripped', async (t) => {
  attach('--from', '10.66.0.99', 'fd66::/16', '--vip', VIPS['4in6']);
  t.not((await transfer(VIPS['4in4'], 100)).error, null);
  t.not((await transfer(VIPS['6in6'], 100)).error, null);
  t.is((await transfer(VIPS['4in6'], 100)).error, null);
  const { instance, packets } = statusOf();
  t.deepEqual(instance.from, ['10.66.0.99/32', 'fd66::/16']);
  t.deepEqual(instance.vips, [VIPS['4in6']]);
  t.true(packets('pass_source') > 0 && packets('pass_not_vip') > 0);
});

test('status says what to mend on the host, and exits 1 until it is done', (t) => {
  attach();
  const vips = ['--vip', ...Object.values(VIPS)];
  const good = statusOf(...vips);
  t.is(good.code, 0);
  t.deepEqual(
    good.instance.checks.filter(({ level }) => level !== 'ok'),
    [],
  );
  sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.rp_filter=1');
  const bad = statusOf(...vips, '198.51.100.99');
  t.is(bad.code, 1);
  const remedies = Object.fromEntries(
    bad.instance.checks.map(({ name, level, remedy }) => [`${name} ${level}`, remedy]),
  );
  t.is(remedies['vip fail'], 'ip address add 198.51.100.99/32 dev lo');
  t.is(remedies['arp_ignore fail'], 'sysctl -w net.ipv4.conf.all.arp_ignore=1');
  t.regex(remedies['rp_filter warn'] ?? '', /rp_filter=2/);
  sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.rp_filter=0');
});

test('a changed MAC is seen by status, and mended by attaching again', async (t) => {
  attach();
  sh('backend', 'ip link set eth0 address 02:00:5e:00:66:02');
  sh('lb', 'ip neigh flush dev eth0');
  t.regex(statusOf().instance.checks.find(({ name }) => name === 'mac')?.detail ?? '', /02:00:5e:00:66:02 now/);
  t.is(attach().action, 'replaced');
  t.is((await transfer(VIPS['4in4'], 100)).error, null);
});

test('an instance is of one interface in one namespace; others are refused and told why', (t) => {
  attach();
  const taken = spillway('other', 'attach', '--interface', 'eth0', '--instance', INSTANCE);
  t.is(taken.code, 1);
  t.regex(taken.stderr, /another network namespace/);
  t.is(spillway('other', 'detach', '--instance', INSTANCE).code, 1);
  const busy = spillway('backend', 'attach', '--interface', 'eth0', '--instance', `${INSTANCE}-other`);
  t.is(busy.code, 1);
  t.regex(busy.stderr, /has an XDP program already/);
  t.false(existsSync(`${PINS}-other`), 'a refused attach leaves no pins');
  t.is(spillway('other', 'attach', '--interface', 'eth0', '--instance', `${INSTANCE}-other`).code, 0);
  t.is(spillway('other', 'detach', '--instance', `${INSTANCE}-other`).code, 0);
  t.is(statusOf().instance.state, 'attached');
});

test('the mode is changed on request, and a mode that cannot be had changes nothing', (t) => {
  t.is(attach('--mode', 'generic').mode, 'generic');
  t.is(attach().mode, 'generic', 'auto keeps it');
  t.like(attach('--mode', 'native'), { mode: 'native', action: 'reattached' });

  // A bridge has no native XDP.
  sh('other', 'ip link add br0 type bridge');
  const onBridge = (mode: string) =>
    spillway('other', 'attach', '--interface', 'br0', '--instance', `${INSTANCE}-other`, '--mode', mode, '--json');
  t.is(onBridge('native').code, 1);
  const fallback = JSON.parse(onBridge('auto').stdout) as AttachResult;
  t.is(fallback.mode, 'generic');
  t.regex(fallback.fallback ?? '', /br0 takes no program in native mode/);
  const refused = onBridge('native');
  t.is(refused.code, 1);
  const after = spillway('other', 'status', '--instance', `${INSTANCE}-other`, '--json').stdout;
  t.like((JSON.parse(after) as { instances: InstanceStatus[] }).instances[0], { state: 'attached', mode: 'generic' });
  t.is(spillway('other', 'detach', '--instance', `${INSTANCE}-other`).code, 0);

  const noEthernet = spillway('backend', 'attach', '--interface', 'lo', '--instance', `${INSTANCE}-other`);
  t.is(noEthernet.code, 1);
  t.regex(noEthernet.stderr, /no Ethernet address/);
});

test('detaching takes the program off at once, twice is no error; wrong usage exits 2', async (t) => {
  attach();
  t.is((await transfer(VIPS['4in4'], 100)).error, null);
  t.is(detach().code, 0);
  t.false(existsSync(PINS));
  t.not((await transfer(VIPS['4in4'], 100)).error, null);
  t.is(detach().code, 0);
  t.is(spillway('backend', 'attach').code, 2);
  t.is(spillway('backend', 'attach', '--interface', 'eth0', '--from', '10.66.0.1/24').code, 2);
  t.is(spillway('backend', 'detach').code, 2);
});

test('pins whose interface was deleted are replaced by the next attach', (t) => {
  t.is(spillway('other', 'attach', '--interface', 'eth0', '--instance', INSTANCE).code, 0);
  sh('other', 'ip link del eth0');
  const gone = spillway('other', 'status', '--json');
  t.is(gone.code, 1);
  t.like(
    (JSON.parse(gone.stdout) as { instances: InstanceStatus[] }).instances.find(
      ({ instance }) => instance === INSTANCE,
    ),
    { state: 'gone' },
  );
  t.is(attach().action, 'attached');
});
