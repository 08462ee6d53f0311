/** What scripts/pktgen would write to the kernel's generator, and what it refuses. */
import { spawnSync } from 'node:child_process';
import test from 'ava';

const needed = ['-i', 'eth1', '-d', '192.0.2.10', '-m', '02:00:00:00:00:01'];

function pktgen(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('scripts/pktgen', args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Commands of a dry run by the file that they are written to. */
function commands(...args: readonly string[]): Map<string, string[]> {
  const { status, stdout, stderr } = pktgen(...args, '--dry-run');
  if (status !== 0) throw new Error(stderr);
  const byFile = new Map<string, string[]>();
  for (const line of stdout.trim().split('\n')) {
    const [, command, file] = /^echo '(.+)' > \/proc\/net\/pktgen\/(.+)$/.exec(line) ?? [];
    byFile.set(file!, [...(byFile.get(file!) ?? []), command!]);
  }
  return byFile;
}

const value = (lines: readonly string[] | undefined, name: string): string | undefined =>
  lines?.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1);

test('one thread, a thousand flows by port, until it is stopped', (t) => {
  const all = commands(...needed);
  t.deepEqual([...all.keys()], ['kpktgend_0', 'eth1@0', 'pgctrl']);
  t.deepEqual(all.get('kpktgend_0'), ['rem_device_all', 'add_device eth1@0']);
  t.deepEqual(all.get('eth1@0'), [
    'count 0',
    'clone_skb 0',
    'burst 1',
    'pkt_size 60',
    'delay 0',
    'queue_map_min 0',
    'queue_map_max 0',
    'dst_mac 02:00:00:00:00:01',
    'dst 192.0.2.10',
    'src_min 198.18.0.1',
    'src_max 198.18.0.1',
    'udp_dst_min 443',
    'udp_dst_max 443',
    'udp_src_min 1024',
    'udp_src_max 2024',
  ]);
  t.deepEqual(all.get('pgctrl'), ['start']);
});

test('a thread on each CPU, a queue for each thread; count and rate are shared out', (t) => {
  const all = commands(...needed, '-c', '0-1,8', '-n', '11', '-r', '3000');
  t.deepEqual(
    ['eth1@0', 'eth1@1', 'eth1@2'].map((file) => value(all.get(file), 'count')),
    ['4', '4', '3'],
  );
  t.deepEqual(value(all.get('eth1@2'), 'queue_map_min'), '2');
  t.deepEqual(value(all.get('eth1@2'), 'ratep'), '1000');
  t.deepEqual(all.get('kpktgend_8'), ['rem_device_all', 'add_device eth1@2']);
});

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

test('as many pairs of address and port come up as flows were asked for: their numbers share no divisor', (t) => {
  for (const flows of [1, 60_000, 60_001, 100_000, 1_000_000, 1_048_576]) {
    const device = commands(...needed, '-f', `${flows}`).get('eth1@0');
    const last = value(device, 'src_max')!.split('.').map(Number);
    const hosts = last[2]! * 256 + last[3]!;
    const ports = Number(value(device, 'udp_src_max')) - Number(value(device, 'udp_src_min'));
    t.is(gcd(hosts, ports), 1, `${hosts} addresses and ${ports} ports`);
    t.true(hosts * ports >= flows && hosts * ports < flows * 1.01 + hosts * 10, `${flows}: ${hosts} x ${ports}`);
    t.true(Number(value(device, 'udp_src_max')) <= 65_535);
  }
});

test('IPv6, a VLAN, a burst, a size and random sources', (t) => {
  const six = commands('-i', 'eth1', '-d', '2001:db8::10', '-m', '02:00:00:00:00:01', '--vlan', '7', '-b', '32', '-s', '1514');
  const device = six.get('eth1@0');
  t.is(value(device, 'dst6'), '2001:db8::10');
  t.is(value(device, 'src6'), '2001:db8:c::1');
  t.is(value(device, 'vlan_id'), '7');
  t.is(value(device, 'burst'), '32');
  t.is(value(device, 'pkt_size'), '1514');
  const random = commands(...needed, '--random', '-f', '100k'.replace('k', '000')).get('eth1@0')!;
  t.deepEqual(
    random.filter((line) => line.startsWith('flag')),
    ['flag UDPSRC_RND', 'flag IPSRC_RND'],
  );
});

test('wrong usage is told, with exit status 2', (t) => {
  const refused = (args: readonly string[], message: RegExp): void => {
    const { status, stdout, stderr } = pktgen(...args, '--dry-run');
    t.is(status, 2, args.join(' '));
    t.is(stdout, '');
    t.regex(stderr, message);
  };
  refused(['-d', '192.0.2.10', '-m', '02:00:00:00:00:01'], /-i ''/);
  refused([...needed, '-m', 'nonsense'], /-m 'nonsense'.*MAC/);
  refused([...needed, '-d', '192.0.2.256'], /no IP address/);
  refused([...needed, '-s', '59'], /from 60 to 9014/);
  refused([...needed, '-c', '3-1'], /no range/);
  refused([...needed, '-c', '0-3', '-n', '2'], /fewer packets than threads/);
  refused([...needed, '-f', '70000', '-d', '2001:db8::10'], /over IPv6 only the port steps/);
  refused([...needed, '--frobnicate', '1'], /unknown option/);
});

test('--help shows the examples', (t) => {
  const { status, stdout } = pktgen('--help');
  t.is(status, 0);
  t.regex(stdout, /Examples:/);
});
