import test, { type ExecutionContext } from 'ava';
import type { HealthCheck } from '../../src/config/desired.js';
import type { CheckTarget, HealthChange, HealthState } from '../../src/health/types.js';
import type { BackendOptions } from './health_backend.js';
import type { CheckerOptions } from './health_checker.js';
import type { BackendEntry } from './health_entry.js';
import { LabHost, lab, onHost } from './health_host.js';

const name = `hp-${process.pid}`;
const intervalMs = 200;
const timeoutMs = 1000;
const [rise, fall] = [2, 3];
/** The longest that `count` checks in a row can take, the jitter and the last answer included. */
const within = (count: number): number => count * intervalMs * 1.1 + timeoutMs;
const patienceMs = 15_000;
const vips = ['192.0.2.10', '2001:db8:10::10'] as const;
const udpPort = 5353;
const hosts = [1, 2, 3] as const;

/** A way of forwarding, the VIP probed over it, and the ids of its backends on be1, be2 and be3. */
const ways: readonly { readonly name: string; readonly vip: string; readonly entry: (host: number) => BackendEntry }[] =
  [
    { name: 'l2-v4', vip: vips[0], entry: (host) => entry(host, 'L2_DSR', 4) },
    { name: 'l2-v6', vip: vips[1], entry: (host) => entry(host, 'L2_DSR', 6) },
    { name: 'v4-in-v4', vip: vips[0], entry: (host) => entry(host, 'IPIP4', 4) },
    { name: 'v4-in-v6', vip: vips[0], entry: (host) => entry(host, 'IPIP6', 6) },
    { name: 'v6-in-v6', vip: vips[1], entry: (host) => entry(host, 'IPIP6', 6) },
  ];

function macOf(host: number): string {
  return `02:00:00:00:01:2${host}`;
}

function entry(host: number, forwarding: BackendEntry['forwarding'], family: 4 | 6): BackendEntry {
  const [address, source] =
    family === 4 ? [`203.0.113.2${host}`, '203.0.113.11'] : [`2001:db8:200::2${host}`, '2001:db8:200::11'];
  return { mac: macOf(host), forwarding, address, source };
}

function idOf(way: number, host: number): number {
  return way * 10 + host;
}

/** Only be1 answers 201, be2 202, be3 203, over HTTP and UDP: a probe that reaches another backend fails. */
function targets(): CheckTarget[] {
  return ways.flatMap(({ name: way, vip }, i) =>
    hosts.flatMap((host) => {
      const base = { address: vip, mark: 0x53570000 + idOf(i, host) };
      const check = { port: 80, intervalMs, timeoutMs, rise, fall, target: 'VIP' } as const;
      const code = 200 + host;
      const http: HealthCheck = {
        ...check,
        probe: { kind: 'http', method: 'GET', path: '/', host: '', expectedCodes: [[code, code]], tls: false },
      };
      const reply = { request: Buffer.from('who'), expectedReply: Buffer.from(`${code}`) };
      const udp: HealthCheck = { ...check, probe: { kind: 'udp', ...reply } };
      const silent: HealthCheck = { ...check, probe: { kind: 'udp', ...reply, expectedReply: new Uint8Array() } };
      return [
        { ...base, key: `http/${way}/be${host}`, port: 80, check: http },
        { ...base, key: `udp/${way}/be${host}`, port: udpPort, check: udp },
        { ...base, key: `silent/${way}/be${host}`, port: udpPort, check: silent },
      ];
    }),
  );
}

const backends = new Map<number, LabHost>();
let checker: LabHost;

test.before(async () => {
  lab('up', name);
  const common = { vips, httpPort: 80, udpPort };
  for (const host of hosts) {
    // Fifteen probes of one host at this pace are more than Linux answers with ICMP errors.
    onHost(name, `be${host}`, 'sysctl', '-qw', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0');
    const options: BackendOptions = { ...common, mac: macOf(host), status: 200 + host };
    backends.set(host, new LabHost(name, `be${host}`, './health_backend.js', options));
  }
  for (const backend of backends.values()) await said(backend, 'up', 1);
  const entries = ways.flatMap((way, i) => hosts.map((host) => [idOf(i, host), way.entry(host)] as const));
  const options: CheckerOptions = { entries, targets: targets() };
  checker = new LabHost(name, 'lb1', './health_checker.js', options);
  await said(checker, 'attached', 1);
});

test.after.always(async () => {
  for (const host of [checker, ...backends.values()]) await host?.end();
  lab('down', name);
});

async function said(host: LabHost, word: string, times: number): Promise<void> {
  const count = (lines: readonly string[]) => lines.filter((line) => line === word).length;
  await host.until(word, (lines) => (count(lines) >= times ? true : null), patienceMs);
}

/** The newest state of each target that changed after the line `from`. */
function changesSince(lines: readonly string[], from: number): Map<string, HealthChange> {
  const changes = lines.slice(from).filter((line) => line.startsWith('{'));
  return new Map(changes.map((line) => JSON.parse(line) as HealthChange).map((change) => [change.key, change]));
}

async function becomes(
  keys: readonly string[],
  state: HealthState,
  from: number,
  withinMs: number,
): Promise<HealthChange[]> {
  return checker.until(
    `${keys.join(', ')} ${state}`,
    (lines) => {
      const now = changesSince(lines, from);
      const found = keys.map((key) => now.get(key)).filter((change) => change?.to === state);
      return found.length === keys.length ? (found as HealthChange[]) : null;
    },
    withinMs,
  );
}

const kinds = ['http', 'udp', 'silent'] as const;
const keysOf = (host: number): string[] => ways.flatMap((way) => kinds.map((kind) => `${kind}/${way.name}/be${host}`));

function onlyThese(t: ExecutionContext, keys: readonly string[], from: number): void {
  t.deepEqual([...changesSince(checker.lines, from).keys()].sort(), [...keys].sort(), 'no other target changed');
}

test.serial('probes of one VIP reach the chosen backend by each forwarding', async (t) => {
  const all = hosts.flatMap(keysOf);
  const changes = await becomes(all, 'healthy', 0, patienceMs);
  t.is(changes.length, kinds.length * ways.length * hosts.length);
  onlyThese(t, all, 0);
});

test.serial('a stopped server is unhealthy within `fall` checks, for the right reason, and alone', async (t) => {
  const from = checker.lines.length;
  const stoppedMs = Date.now();
  backends.get(2)!.say('stop');
  for (const { key, reason, atMs } of await becomes(keysOf(2), 'unhealthy', from, patienceMs)) {
    t.is(reason, key.startsWith('http') ? 'connect: ECONNREFUSED' : 'ICMP port unreachable', key);
    t.true(atMs - stoppedMs <= within(fall), `${atMs - stoppedMs} ms`);
  }
  onlyThese(t, keysOf(2), from);
});

test.serial('started again it is healthy within `rise` checks', async (t) => {
  const from = checker.lines.length;
  backends.get(2)!.say('start');
  await said(backends.get(2)!, 'up', 2);
  const startedMs = Date.now();
  const changes = await becomes(keysOf(2), 'healthy', from, patienceMs);
  for (const { reason, atMs } of changes) {
    t.is(reason, '2 checks passed');
    t.true(atMs - startedMs <= within(rise), `${atMs - startedMs} ms`);
  }
  onlyThese(t, keysOf(2), from);
});

test.serial('without a next hop a probe times out and never reaches another backend', async (t) => {
  const from = checker.lines.length;
  const before = ways[0]!.entry(3);
  checker.say(JSON.stringify({ id: idOf(0, 3), entry: { ...before, mac: null } }));
  const checked = ['http/l2-v4/be3', 'udp/l2-v4/be3'];
  for (const { reason } of await becomes(checked, 'unhealthy', from, patienceMs)) t.is(reason, 'no reply within 1 s');
  checker.say(JSON.stringify({ id: idOf(0, 3), entry: before }));
  await becomes(checked, 'healthy', from, patienceMs);
  onlyThese(t, checked, from);
});
