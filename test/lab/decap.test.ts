import { existsSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import type { AttachResult } from '../../src/backend/attach.js';
import type { InstanceStatus } from '../../src/backend/status.js';
import { allVips, DecapLab, vips4, vips6 } from './decap_lab.js';

const INSTANCE = `t${process.pid}-nl`;
const MIB = 1 << 20;
const VIP_LIST = allVips.map(([, vip]) => vip);
const lab = new DecapLab(`sw-t${process.pid}-nl`, INSTANCE);
const test = anyTest.serial as TestFn;

test.before(async () => {
  lab.up();
  lab.holdVips();
  await lab.serve();
});
test.after.always(() => lab.down());
test.afterEach.always(() => {
  lab.detach();
});

test('before anything is attached, a tunnelled connection does not come up', async (t) => {
  t.not((await lab.transfer(vips4['4in4'], 100)).error, null);
  t.is(lab.spillway('backend', 'status', '--instance', INSTANCE).code, 1);
});

for (const mode of ['native', 'generic'] as const) {
  test(`attached in ${mode} mode, uploads and downloads pass whole for each kind of tunnel`, async (t) => {
    t.like(lab.attach('--mode', mode), { action: 'attached', mode, fallback: null });
    for (const [kind, vip] of allVips) {
      const before = lab.status().packets(kind === 'dsr' ? 'pass_vip' : `stripped_${kind}`);
      const { error, elapsedMs } = await lab.transfer(vip, 4 * MIB);
      t.is(error, null, `${kind} ${vip}`);
      const { packets, instance } = lab.status();
      t.true(packets(kind === 'dsr' ? 'pass_vip' : `stripped_${kind}`) > before + 100, kind);
      const traffic = instance.traffic.find((one) => one.vip === vip)!;
      for (const bytes of [traffic.bytesIn, traffic.bytesOut]) {
        // Headers and acknowledgements beside the data itself.
        t.true(Number(bytes) > 4 * MIB && Number(bytes) < 4.6 * MIB, `${vip}: ${bytes} bytes counted`);
      }
      t.log(`${kind} ${vip}: 4 MiB each way in ${elapsedMs.toFixed(0)} ms`);
    }
  });
}

test('attaching again, thirty times under traffic, loses no packet and keeps the counters', async (t) => {
  lab.attach();
  const programs = new Set<number>();
  const { sent, lost } = await lab.beatWhile(vips4['4in4'], () => {
    for (let i = 0; i < 30; i++) {
      const result = lab.attach('--from', '10.66.0.0/24');
      t.is(result.action, 'replaced');
      programs.add(result.programId);
    }
  });
  t.log(`${sent} datagrams meanwhile`);
  t.true(sent > 1000);
  t.is(lost, 0);
  t.is(programs.size, 30);
  const { packets, instance } = lab.status();
  t.is(packets('stripped_4in4'), sent);
  t.like(
    instance.traffic.find(({ vip }) => vip === vips4['4in4']),
    // The server answers from its first address.
    { packetsIn: String(sent), packetsOut: '0' },
  );
});

test('tunnels of strangers, and to other VIPs, are not stripped', async (t) => {
  lab.attach('--from', '10.66.0.99', 'fd66::/16', '--vip', vips4['4in6']);
  t.not((await lab.transfer(vips4['4in4'], 100)).error, null);
  t.not((await lab.transfer(vips6['6in6'], 100)).error, null);
  t.is((await lab.transfer(vips4['4in6'], 100)).error, null);
  const { instance, packets } = lab.status();
  t.deepEqual(instance.from, ['10.66.0.99/32', 'fd66::/16']);
  t.deepEqual(instance.vips, [vips4['4in6']]);
  t.true(packets('pass_source') > 0 && packets('pass_not_vip') > 0);
});

test('status says what to mend on the host, and exits 1 until it is done', (t) => {
  lab.attach();
  const vips = ['--vip', ...VIP_LIST];
  const good = lab.status(...vips);
  t.is(good.code, 0);
  t.deepEqual(
    good.instance.checks.filter(({ level }) => level !== 'ok'),
    [],
  );
  lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.rp_filter=1');
  const bad = lab.status(...vips, '198.51.100.99');
  t.is(bad.code, 1);
  const remedies = Object.fromEntries(
    bad.instance.checks.map(({ name, level, remedy }) => [`${name} ${level}`, remedy]),
  );
  t.is(remedies['vip fail'], 'ip address add 198.51.100.99/32 dev lo');
  t.is(remedies['arp_ignore fail'], 'sysctl -w net.ipv4.conf.all.arp_ignore=1');
  t.regex(remedies['rp_filter warn'] ?? '', /rp_filter=2/);
  lab.sh('backend', 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.rp_filter=0');
});

test('a changed MAC is seen by status, and mended by attaching again', async (t) => {
  lab.attach();
  lab.sh('backend', 'ip link set eth0 address 02:00:5e:00:66:02');
  lab.sh('lb', 'ip neigh flush dev eth0');
  t.regex(lab.status().instance.checks.find(({ name }) => name === 'mac')?.detail ?? '', /02:00:5e:00:66:02 now/);
  t.is(lab.attach().action, 'replaced');
  t.is((await lab.transfer(vips4['4in4'], 100)).error, null);
});

test('an instance is of one interface in one namespace; others are refused and told why', (t) => {
  lab.attach();
  const taken = lab.spillway('other', 'attach', '--interface', 'eth0', '--instance', INSTANCE);
  t.is(taken.code, 1);
  t.regex(taken.stderr, /another network namespace/);
  t.is(lab.spillway('other', 'detach', '--instance', INSTANCE).code, 1);
  const busy = lab.spillway('backend', 'attach', '--interface', 'eth0', '--instance', `${INSTANCE}-other`);
  t.is(busy.code, 1);
  t.regex(busy.stderr, /has an XDP program already/);
  t.false(existsSync(`${lab.pins}-other`), 'a refused attach leaves no pins');
  t.is(lab.spillway('other', 'attach', '--interface', 'eth0', '--instance', `${INSTANCE}-other`).code, 0);
  t.is(lab.spillway('other', 'detach', '--instance', `${INSTANCE}-other`).code, 0);
  t.is(lab.status().instance.state, 'attached');
});

test('the mode is changed on request, and a mode that cannot be had changes nothing', (t) => {
  t.is(lab.attach('--mode', 'generic').mode, 'generic');
  t.is(lab.attach().mode, 'generic', 'auto keeps it');
  t.like(lab.attach('--mode', 'native'), { mode: 'native', action: 'reattached' });

  // A bridge has no native XDP.
  lab.sh('other', 'ip link add br0 type bridge');
  const onBridge = (mode: string) =>
    lab.spillway('other', 'attach', '--interface', 'br0', '--instance', `${INSTANCE}-other`, '--mode', mode, '--json');
  t.is(onBridge('native').code, 1);
  const fallback = JSON.parse(onBridge('auto').stdout) as AttachResult;
  t.is(fallback.mode, 'generic');
  t.regex(fallback.fallback ?? '', /br0 takes no program in native mode/);
  const refused = onBridge('native');
  t.is(refused.code, 1);
  const after = lab.spillway('other', 'status', '--instance', `${INSTANCE}-other`, '--json').stdout;
  t.like((JSON.parse(after) as { instances: InstanceStatus[] }).instances[0], { state: 'attached', mode: 'generic' });
  t.is(lab.spillway('other', 'detach', '--instance', `${INSTANCE}-other`).code, 0);

  const noEthernet = lab.spillway('backend', 'attach', '--interface', 'lo', '--instance', `${INSTANCE}-other`);
  t.is(noEthernet.code, 1);
  t.regex(noEthernet.stderr, /no Ethernet address/);
});

test('detaching takes the program off at once, twice is no error; wrong usage exits 2', async (t) => {
  lab.attach();
  t.is((await lab.transfer(vips4['4in4'], 100)).error, null);
  t.is(lab.detach().code, 0);
  t.false(existsSync(lab.pins));
  t.not((await lab.transfer(vips4['4in4'], 100)).error, null);
  t.is(lab.detach().code, 0);
  t.is(lab.spillway('backend', 'attach').code, 2);
  t.is(lab.spillway('backend', 'attach', '--interface', 'eth0', '--from', '10.66.0.1/24').code, 2);
  t.is(lab.spillway('backend', 'detach').code, 2);
});

test('pins whose interface was deleted are replaced by the next attach', (t) => {
  t.is(lab.spillway('other', 'attach', '--interface', 'eth0', '--instance', INSTANCE).code, 0);
  lab.sh('other', 'ip link del eth0');
  const gone = lab.spillway('other', 'status', '--json');
  t.is(gone.code, 1);
  t.like(
    (JSON.parse(gone.stdout) as { instances: InstanceStatus[] }).instances.find(
      ({ instance }) => instance === INSTANCE,
    ),
    { state: 'gone' },
  );
  t.is(lab.attach().action, 'attached');
});
