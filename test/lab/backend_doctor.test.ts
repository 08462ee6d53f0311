/** `spillway backend doctor` on a host that is broken in one way after another; each remedy is run as it is printed. */
import { execFileSync } from 'node:child_process';
import anyTest, { type TestFn } from 'ava';
import type { Check } from '../../src/backend/checks/check.js';
import type { Diagnosis } from '../../src/backend/doctor/doctor.js';
import { backend4, backend6, DecapLab, lb4, lb6, script, vips4, vips6 } from './decap_lab.js';

const INSTANCE = `t${process.pid}-dr`;
const lab = new DecapLab(`sw-t${process.pid}-dr`, INSTANCE);
const test = anyTest.serial as TestFn;
const vips = [vips4['4in4'], vips6['6in6']];
const mapped = `tcp:${vips4.gue4}:80=${backend4}:8100`;

test.before(async () => {
  lab.up();
  lab.holdVips(vips);
  await lab.serve();
  await lab.serve(backend4, 8100);
});
test.after.always(() => lab.down());
test.beforeEach(() => {
  lab.attach('--map', mapped);
});
test.afterEach.always(() => {
  lab.detach();
});

function doctor(...args: readonly string[]): Diagnosis & { readonly code: number | null; readonly stderr: string } {
  const all = ['doctor', '--interface', 'eth0', '--instance', INSTANCE, '--watch', '0', '--json', ...args];
  const { code, stdout, stderr } = lab.spillway('backend', ...all);
  if (stdout === '') throw new Error(stderr);
  return { ...(JSON.parse(stdout) as Diagnosis), code, stderr };
}

const found = (diagnosis: Diagnosis, name: string): Check | undefined =>
  diagnosis.checks.find((check) => check.name === name && check.level !== 'ok');

/** As an operator would, in the shell of the host. */
function mend({ remedy }: Check): void {
  const spillway = `${process.execPath} ${script('decap_command.js')}`;
  const [program, args] = lab.inside('backend', 'sh', '-ec', `spillway() { ${spillway} "$@" > /dev/null; }; ${remedy}`);
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

test('a backend that is set up has no problems', (t) => {
  const { checks, problems, code } = doctor('--vip', ...vips, '--lb', lb4, lb6);
  t.deepEqual(
    checks.filter(({ level }) => level === 'fail'),
    [],
  );
  t.is(problems, 0);
  t.is(code, 0);
});

const breaks: readonly (readonly [name: string, ...commands: readonly string[]])[] = [
  ['arp_ignore', 'sysctl -qw net.ipv4.conf.all.arp_ignore=0'],
  ['arp_announce', 'sysctl -qw net.ipv4.conf.all.arp_announce=0'],
  ['vip', `ip address del ${vips[0]}/32 dev lo`],
  ['vip', `ip address del ${vips[1]}/128 dev lo`],
  ['mac', 'ip link set eth0 address 02:00:5e:00:66:07'],
  ['ipv6', 'sysctl -qw net.ipv6.conf.lo.disable_ipv6=1'],
  ['forwarding4', 'sysctl -qw net.ipv4.ip_forward=1'],
  ['replies', 'tc qdisc del dev eth0 clsact'],
];

for (const [name, ...commands] of breaks) {
  test(`${commands.join('; ')}: told of, and mended by the command that is printed`, (t) => {
    for (const command of commands) lab.sh('backend', command);
    const vip = ['--vip', ...vips];
    const broken = doctor(...vip);
    const check = found(broken, name);
    t.is(check?.level, 'fail', JSON.stringify(broken.checks, null, 1));
    t.not(check!.consequence, '');
    t.is(broken.code, 1);
    t.regex(broken.stderr, new RegExp(name));
    // From the top, as it is printed: IPv6 takes its addresses with it when it is turned off.
    for (let step = 0; step < 3; step++) {
      const next = doctor(...vip).checks.find(({ level }) => level === 'fail');
      if (next === undefined) break;
      mend(next);
    }
    t.is(found(doctor(...vip), name), undefined);
    t.is(doctor(...vip).problems, 0);
    lab.sh('backend', 'sysctl -qw net.ipv4.ip_forward=0');
    lab.dropVips([vips4.gue4]);
  });
}

test('a strict reverse path filter is a problem where clients are routed back another way', (t) => {
  lab.sh('backend', `ip link add back0 type veth peer name back0 netns ${lab.name}-lb`);
  try {
    lab.sh('backend', 'ip link set back0 up');
    lab.sh('lb', 'ip link set back0 up');
    lab.sh('backend', 'ip address add 10.68.0.2/24 dev back0');
    lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.rp_filter=1');
    t.is(found(doctor(), 'rp_filter'), undefined, 'they come back by eth0');
    lab.sh('backend', 'ip route replace default via 10.68.0.1');
    const broken = doctor();
    const strict = found(broken, 'rp_filter');
    t.is(strict?.level, 'fail');
    mend(strict!);
    const elsewhere = found(doctor(), 'route');
    t.regex(elsewhere?.detail ?? '', /leave by back0, where no program is/);
    mend(elsewhere!);
    t.is(doctor().problems, 0);
    t.deepEqual([...lab.status().instance.out].sort(), ['back0', 'eth0']);
    t.deepEqual(lab.status().instance.mappings, [mapped], 'the remedy keeps what was there');
  } finally {
    lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.rp_filter=0');
    lab.sh('backend', 'ip link del back0');
    lab.sh('backend', 'ip route replace default via 10.66.0.1');
  }
});

test("a process on GUE's port, a mapping that nobody listens for, and tunnels of unnamed load balancers are told of", async (t) => {
  const server = await lab.serve(backend6, 6080);
  const taken = found(doctor(), 'gue_port');
  t.regex(taken?.remedy ?? '', /--gue-port 6081/);
  server.kill('SIGKILL');
  lab.attach('--map', `tcp:${vips4.gue4}:81=${backend4}:8177`, '--from', '10.66.0.77');
  const nobody = doctor('--lb', lb4);
  t.regex(found(nobody, 'listens')?.detail ?? '', /nobody listens on tcp 10\.66\.0\.2, port 8177/);
  t.regex(found(nobody, 'lb')?.detail ?? '', /10\.66\.0\.1 is none of --from/);
  mend(found(nobody, 'lb')!);
  t.is(found(doctor('--lb', lb4), 'lb'), undefined);
});

test('traffic is seen while it comes; a program that is not there is a problem, but for L2_DSR', async (t) => {
  t.is(found(doctor(), 'traffic')?.level, 'warn');
  const { lost } = await lab.beatWhile(vips4['4in4'], () => {
    const traffic = doctor('--watch', '0.5').checks.find(({ name }) => name === 'traffic');
    t.is(traffic?.level, 'ok');
    t.regex(traffic?.detail ?? '', /stripped_4in4/);
  });
  t.is(lost, 0);
  lab.detach();
  const without = doctor('--vip', ...vips);
  t.deepEqual(
    without.checks.filter(({ level }) => level === 'fail').map(({ name }) => name),
    ['attached'],
  );
  t.is(without.code, 1);
  t.is(doctor('--vip', ...vips, '--l2-dsr').code, 0);
  t.is(lab.spillway('backend', 'doctor', '--instance', INSTANCE).code, 1, 'of which interface?');
});

test('its text says what is wrong, what comes of it, and the command', (t) => {
  lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=0');
  const { stdout, code } = lab.spillway(
    'backend',
    'doctor',
    '--interface',
    'eth0',
    '--instance',
    INSTANCE,
    '--watch',
    '0',
  );
  t.is(code, 1);
  t.regex(
    stdout,
    /fail +arp_ignore +0\n +this host answers ARP for a VIP on lo.*\n +mend: sysctl -w net\.ipv4\.conf\.all\.arp_ignore=1\n/,
  );
  t.regex(stdout, /\n1 problem, \d+ warnings?\n$/);
  lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=1');
});
