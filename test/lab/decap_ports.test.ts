/** Port mapping and segment sizes, with real connections of a client behind a router, and no VIP on the backend. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import anyTest, { type TestFn } from 'ava';
import { allVips, backend4, backend6, DecapLab, lb4, lb6, vips4, vips6 } from './decap_lab.js';

const MIB = 1 << 20;
const INSTANCE = `t${process.pid}-pm`;
const lab = new DecapLab(`sw-t${process.pid}-pm`, INSTANCE);
const test = anyTest.serial as TestFn;
const servers: ChildProcess[] = [];

/** Each VIP's port 80 has a port of its own on the host: replies must be told apart. */
const mappedPorts = allVips.map(([kind, vip], i) => ({
  kind,
  vip,
  host: vip.includes(':') ? backend6 : backend4,
  port: 8100 + i,
}));
const hostText = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);
const maps = (protocols: readonly string[]) =>
  mappedPorts.flatMap(({ vip, host, port }) =>
    protocols.map((protocol) => `${protocol}:${hostText(vip)}:80=${hostText(host)}:${port}`),
  );

test.before(async () => {
  lab.up();
  for (const { host, port } of mappedPorts) servers.push(await lab.serve(host, port));
});
test.after.always(() => lab.down());
test.afterEach.always(() => {
  lab.detach();
});

for (const mode of ['native', 'generic'] as const) {
  test(`mapped ports serve whole transfers both ways by every tunnel, without a VIP on the host (${mode})`, async (t) => {
    lab.attach('--mode', mode, '--map', ...maps(['tcp', 'udp']));
    for (const { kind, vip } of mappedPorts) {
      const { error, elapsedMs } = await lab.transfer(vip, 4 * MIB, { from: 'client', port: 80 });
      t.is(error, null, `${kind} ${vip}`);
      t.log(`${kind} ${vip}: 4 MiB each way in ${elapsedMs.toFixed(0)} ms`);
      t.is((await lab.ask(vip, 100, { port: 80 })).error, null, `${kind} ${vip}: a datagram`);
    }
    const { instance, events } = lab.status();
    t.deepEqual(
      instance.checks.filter(({ level }) => level !== 'ok').map(({ name }) => name),
      mode === 'generic' ? ['mode'] : [],
    );
    t.true(events('mapped_in') > 1000 && events('mapped_out') > 100);
    for (const { vip } of mappedPorts) {
      const traffic = instance.traffic.find((one) => one.vip === vip)!;
      t.true(Number(traffic.bytesIn) > 4 * MIB && Number(traffic.bytesOut) > 4 * MIB, vip);
    }
  });
}

test('a datagram of 8 kB in fragments is mapped whole, both ways', async (t) => {
  lab.attach('--map', ...maps(['udp']));
  for (const { kind, vip } of mappedPorts) {
    // The way to the client is narrower than to the router: of IPv6, the first answer is lost to learning it.
    const first = await lab.ask(vip, 8000, { port: 80 });
    const { error } = first.error !== null && vip.includes(':') ? await lab.ask(vip, 8000, { port: 80 }) : first;
    t.is(error, null, `${kind} ${vip}`);
  }
  const { events } = lab.status();
  t.true(events('mapped_later_in') >= 5 * mappedPorts.length);
  t.true(events('mapped_later_out') >= 5 * mappedPorts.length);
});

test('checks of the own port are answered for exempt addresses, and for others belong to the VIP', async (t) => {
  const [vip] = mappedPorts.filter((one) => one.kind === '4in4');
  const [vipOf6] = mappedPorts.filter((one) => one.kind === '6in6');
  const direct = async () =>
    (
      await Promise.all([
        lab.transfer(backend4, 100, { port: vip!.port }),
        lab.transfer(backend6, 100, { port: vipOf6!.port }),
      ])
    ).map(({ error }) => error === null);
  lab.attach('--map', ...maps(['tcp']));
  t.deepEqual(await direct(), [false, false]);
  lab.attach('--map', ...maps(['tcp']), '--map-exempt', lb4, lb6);
  t.deepEqual(await direct(), [true, true]);
  t.is((await lab.transfer(vip!.vip, 100, { from: 'client', port: 80 })).error, null);
});

test('a narrow way to the client is learned from the ICMP error that quotes the VIP', async (t) => {
  lab.attach('--map', ...maps(['tcp']));
  lab.sh('lb', 'ip route add 10.67.0.2 dev eth1 mtu lock 1300');
  lab.sh('lb', 'ip route add fd67::2 dev eth1 mtu lock 1300');
  try {
    for (const { kind, vip } of mappedPorts) {
      const { error } = await lab.transfer(vip, MIB, { from: 'client', port: 80 });
      t.is(error, null, `${kind} ${vip}`);
    }
    t.true(lab.status().events('mapped_icmp_in') >= 2);
  } finally {
    lab.sh('lb', 'ip route del 10.67.0.2 dev eth1');
    lab.sh('lb', 'ip route del fd67::2 dev eth1');
    // What was learned outlives the route, and would have smaller segments offered.
    for (const family of ['-4', '-6']) lab.sh('backend', `ip ${family} route flush cache`);
  }
});

test('a client is told that nobody listens, in the name of the VIP', async (t) => {
  const free = { tcp: 9001, udp: 9002 };
  lab.attach(
    '--map',
    ...[vips4.gue4, vips6['6in6']].flatMap((vip) => {
      const host = hostText(vip.includes(':') ? backend6 : backend4);
      return [`tcp:${hostText(vip)}:81=${host}:${free.tcp}`, `udp:${hostText(vip)}:81=${host}:${free.udp}`];
    }),
  );
  for (const vip of [vips4.gue4, vips6['6in6']]) {
    t.regex((await lab.transfer(vip, 10, { from: 'client', port: 81 })).error ?? '', /ECONNREFUSED/, vip);
    t.regex((await lab.ask(vip, 10, { port: 81 })).error ?? '', /ECONNREFUSED/, vip);
  }
  t.is(lab.status().events('mapped_icmp_out'), 2);
});

test('at MTU 1500 uploads pass whole through every tunnel, since clients are offered segments that fit', async (t) => {
  lab.sh('lb', 'ip link set eth0 mtu 1500');
  lab.sh('backend', 'ip link set eth0 mtu 1500');
  try {
    lab.attach('--map', ...maps(['tcp']), '--clamp-mss', 'off');
    const [first] = mappedPorts;
    t.not((await lab.transfer(first!.vip, MIB, { from: 'client', port: 80 })).error, null, 'hangs without');
    lab.attach('--map', ...maps(['tcp']));
    for (const { kind, vip } of mappedPorts) {
      const { error, elapsedMs } = await lab.transfer(vip, 8 * MIB, { from: 'client', port: 80 });
      t.is(error, null, `${kind} ${vip}`);
      t.log(`${kind} ${vip}: 8 MiB each way in ${elapsedMs.toFixed(0)} ms`);
    }
    const { events, instance } = lab.status();
    t.is(events('mss_clamped'), mappedPorts.filter(({ kind }) => kind !== 'dsr').length);
    t.deepEqual(
      Object.fromEntries(instance.traffic.map(({ vip, overhead }) => [vip, overhead])),
      Object.fromEntries(
        mappedPorts.map(({ kind, vip }) => [
          vip,
          { dsr: 0, gue4: 28, gue6: 48 }[kind] ?? (kind.endsWith('4') ? 20 : 40),
        ]),
      ),
    );
  } finally {
    lab.sh('lb', 'ip link set eth0 mtu 1600');
    lab.sh('backend', 'ip link set eth0 mtu 1600');
  }
});

test('mapping is exchanged under traffic without a connection lost, and ends with the attach that leaves it out', async (t) => {
  lab.attach('--map', ...maps(['tcp']));
  const [one] = mappedPorts.filter(({ kind }) => kind === 'gue4');
  const transfers = Promise.all(
    Array.from({ length: 4 }, () => lab.transfer(one!.vip, 8 * MIB, { from: 'client', port: 80 })),
  );
  for (let i = 0; i < 10; i++) t.is(lab.attach('--map', ...maps(['tcp'])).action, 'replaced');
  t.deepEqual(
    (await transfers).map(({ error }) => error),
    [null, null, null, null],
  );
  lab.attach();
  t.not((await lab.transfer(one!.vip, 10, { from: 'client', port: 80 })).error, null);
});

test('replies by another interface than requests are mapped where they are told to leave', async (t) => {
  lab.sh('backend', `ip link add back0 type veth peer name back0 netns ${lab.name}-lb`);
  for (const [host, last] of [
    ['lb', 1],
    ['backend', 2],
  ] as const) {
    lab.sh(host, 'ip link set back0 up');
    lab.sh(host, `ip address add 10.68.0.${last}/24 dev back0`);
  }
  lab.sh('lb', 'sysctl -qw net.ipv4.conf.all.rp_filter=0');
  lab.sh('backend', 'ip route replace default via 10.68.0.1');
  try {
    const [one] = mappedPorts.filter(({ kind }) => kind === '4in4');
    lab.attach('--map', ...maps(['tcp']));
    t.not((await lab.transfer(one!.vip, 10, { from: 'client', port: 80 })).error, null);
    t.deepEqual(lab.attach('--map', ...maps(['tcp']), '--out', 'eth0', 'back0').out, ['eth0', 'back0']);
    t.is((await lab.transfer(one!.vip, MIB, { from: 'client', port: 80 })).error, null);
    t.deepEqual([...lab.status().instance.out].sort(), ['back0', 'eth0']);
    t.deepEqual(lab.attach('--map', ...maps(['tcp'])).out, ['eth0']);
    t.deepEqual(lab.status().instance.out, ['eth0'], 'taken off where it is wanted no more');
  } finally {
    lab.sh('backend', 'ip link del back0');
    lab.sh('backend', 'ip route replace default via 10.66.0.1');
  }
});

test('what cannot be mapped is refused, and nothing is changed', (t) => {
  lab.attach('--map', `tcp:${vips4.gue4}:80=${backend4}:8100`);
  const refused = (...mapping: readonly string[]) => {
    const { code, stderr } = lab.spillway(
      'backend',
      'attach',
      '--interface',
      'eth0',
      '--instance',
      INSTANCE,
      '--map',
      ...mapping,
    );
    return `${code} ${stderr}`;
  };
  t.regex(refused(`tcp:${vips4.gue4}:80=10.66.0.77:8100`), /^1 .*10\.66\.0\.77 is not an address of this host/);
  t.regex(
    refused(`tcp:${vips4.gue4}:80=${backend4}:8100`, `tcp:${vips4.gue6}:80=${backend4}:8100`),
    /^1 .*belongs to tcp 198\.51\.100\.24:80 already/,
  );
  t.regex(refused('tcp:somewhere'), /^2/);
  t.deepEqual(lab.status().instance.mappings, [`tcp:${vips4.gue4}:80=${backend4}:8100`]);
});

test('servers are still there', async (t) => {
  t.true(servers.every(({ exitCode }) => exitCode === null));
  for (const server of servers.splice(0)) {
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }
});
