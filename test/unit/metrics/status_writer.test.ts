import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import test from 'ava';
import { createMetrics } from '../../../src/metrics/metrics.js';
import { StatusWriter } from '../../../src/metrics/status_writer.js';
import { backend, cluster, listener, status } from './fixture.js';

const write = (writer: StatusWriter, of: ReturnType<typeof status>): string => [...writer.write(of)].join('');
const lines = (text: string, name: string): string[] => text.split('\n').filter((line) => line.startsWith(`${name}{`));

test('each backend of each listener has its own samples, exact beyond 2^53', (t) => {
  const text = write(new StatusWriter(), status([listener('https', [backend('a'), backend('b')])]));
  t.deepEqual(lines(text, 'spillway_backend_bytes_total'), [
    'spillway_backend_bytes_total{load_balancer="web",listener="https",backend_group="pool",backend="a"} 9007199254740993',
    'spillway_backend_bytes_total{load_balancer="web",listener="https",backend_group="pool",backend="b"} 9007199254740993',
  ]);
  t.deepEqual(lines(text, 'spillway_listener_sessions'), [
    'spillway_listener_sessions{load_balancer="web",listener="https"} 3',
  ]);
});

test('drops, passes and answers are told apart, each by reason', (t) => {
  const text = write(new StatusWriter(), status([]));
  t.deepEqual(lines(text, 'spillway_dropped_packets_total'), [
    'spillway_dropped_packets_total{reason="no_listener"} 3',
  ]);
  t.deepEqual(lines(text, 'spillway_passed_packets_total'), ['spillway_passed_packets_total{reason="not_vip"} 8']);
  t.deepEqual(lines(text, 'spillway_answered_packets_total'), [
    'spillway_answered_packets_total{reason="echo_answered"} 2',
  ]);
});

test('health is 1 only for passing and unchecked backends; a check without result has no duration', (t) => {
  const states = ['healthy', 'unhealthy', 'unknown', 'unchecked'] as const;
  const backends = states.map((health) => backend(health, { health, lastCheckUs: health === 'unknown' ? null : 2500 }));
  const text = write(new StatusWriter(), status([listener('https', backends)]));
  t.deepEqual(
    lines(text, 'spillway_backend_healthy').map((line) => line.at(-1)),
    ['1', '0', '0', '1'],
  );
  t.is(lines(text, 'spillway_backend_check_duration_seconds').length, 3);
  t.true(lines(text, 'spillway_backend_check_duration_seconds')[0]?.endsWith(' 0.0025'));
});

test('cached labels follow backends that come, go and change places', (t) => {
  const writer = new StatusWriter();
  const names = (text: string): string[] =>
    lines(text, 'spillway_backend_up').map((line) => /backend="(.*?)"/.exec(line)?.[1] ?? '');
  for (const wanted of [['a', 'b'], ['a', 'b'], ['b', 'a', 'c'], ['c'], [], ['a']]) {
    const text = write(
      writer,
      status([
        listener(
          'https',
          wanted.map((name) => backend(name)),
        ),
      ]),
    );
    t.deepEqual(names(text), wanted);
  }
});

test('a scrape under way keeps its labels when another one sees a new configuration', (t) => {
  const writer = new StatusWriter();
  const slow = writer.write(status([listener('https', [backend('old')])]));
  let text = slow.next().value ?? '';
  write(writer, status([listener('https', [backend('new')])]));
  for (const chunk of slow) text += chunk;
  t.regex(text, /spillway_backend_up\{.*backend="old"\} 1/);
  t.notRegex(text, /backend="new"/);
});

test('label values are escaped as the format asks', (t) => {
  const text = write(new StatusWriter(), status([listener('a"b\\c\nd', [])]));
  t.true(text.includes('listener="a\\"b\\\\c\\nd"'));
});

test('no family appears twice, and every sample stands under its own header', async (t) => {
  const text = await exposition();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+)/.exec(line)?.[1];
    if (type !== undefined) {
      t.false(seen.has(type), type);
      seen.add(type);
      current = type;
    } else if (line !== '' && !line.startsWith('#')) {
      t.true(line.startsWith(current), line);
    }
  }
});

test('promtool finds nothing wrong with a whole scrape', async (t) => {
  const promtool = ['/usr/bin/promtool', '/usr/local/bin/promtool'].find((path) => existsSync(path));
  if (promtool === undefined) {
    t.pass('promtool is not installed: apt-get install prometheus');
    return;
  }
  const run = spawnSync(promtool, ['check', 'metrics'], { input: await exposition(), encoding: 'utf8' });
  t.is(run.stderr + run.stdout, '');
  t.is(run.status, 0);
});

const reported = [
  {
    loadBalancer: 'web',
    vip: '192.0.2.1',
    packetsIn: 3n,
    bytesIn: 180n,
    packetsOut: 5n,
    bytesOut: 18_446_744_073_709_551_616n,
  },
  { loadBalancer: 'web', vip: '2001:db8::1', packetsIn: 0n, bytesIn: 0n, packetsOut: 0n, bytesOut: 0n },
];

test('what backends reported is there by LoadBalancer, VIP and direction, and nothing of what was never reported', async (t) => {
  const lines = (await exposition()).split('\n').filter((line) => line.includes('backend_reported'));
  t.deepEqual(lines, [
    '# HELP spillway_backend_reported_packets_total Packets of a VIP that its backends counted and reported to this node.',
    '# TYPE spillway_backend_reported_packets_total counter',
    'spillway_backend_reported_packets_total{load_balancer="web",vip="192.0.2.1",direction="in"} 3',
    'spillway_backend_reported_packets_total{load_balancer="web",vip="192.0.2.1",direction="out"} 5',
    '# HELP spillway_backend_reported_bytes_total Bytes of a VIP that its backends counted and reported to this node.',
    '# TYPE spillway_backend_reported_bytes_total counter',
    'spillway_backend_reported_bytes_total{load_balancer="web",vip="192.0.2.1",direction="in"} 180',
    'spillway_backend_reported_bytes_total{load_balancer="web",vip="192.0.2.1",direction="out"} 18446744073709551616',
  ]);
});

async function exposition(): Promise<string> {
  const metrics = createMetrics({
    status: () => status([listener('https', [backend('a')]), listener('none', [])]),
    reported: () => reported,
    cluster: () => cluster(),
  });
  metrics.onGrpcCall({ service: 'ConfigService', method: 'Apply', code: 'OK', durationMs: 3 });
  metrics.onApply({ result: 'changed', durationMs: 12 });
  metrics.onReconcile({ result: 'clean', durationMs: 1 });
  metrics.onHealthCheck({ kind: 'tcp', success: true, durationMs: 0.4 });
  let text = '';
  for await (const chunk of metrics.scrape()) text += chunk;
  return text;
}

test('limits: what is set, what is used of it, and what was refused, of listeners and of whole LoadBalancers', (t) => {
  const limits = {
    newSessionsPerSecond: 100,
    sessions: 0,
    bitsPerSecond: 0,
    packetsPerSecond: 0,
    newSessionsPerSecondPerSource: 5,
  };
  const limit = {
    limits,
    sessions: 12,
    newSessionsPerSecond: 90,
    bitsPerSecond: 1_000_000,
    packetsPerSecond: 200,
    refused: {
      access_denied: 1n,
      connection_rate: 9007199254740993n,
      session_limit: 0n,
      bandwidth_limit: 0n,
      packet_limit: 0n,
      source_rate: 4n,
    },
  };
  const plain = write(new StatusWriter(), status([listener('https', [])]));
  t.false(plain.includes('spillway_limit'));
  const of = status([{ ...listener('https', []), limit }, listener('http', [])]);
  const text = write(new StatusWriter(), { ...of, loadBalancers: [{ loadBalancer: 'web', limit }] });
  const whole = '{load_balancer="web",listener="",';
  const one = '{load_balancer="web",listener="https",';
  t.deepEqual(lines(text, 'spillway_limit_max'), [
    `spillway_limit_max${whole}limit="new_sessions_per_second"} 100`,
    `spillway_limit_max${whole}limit="new_sessions_per_second_per_source"} 5`,
    `spillway_limit_max${one}limit="new_sessions_per_second"} 100`,
    `spillway_limit_max${one}limit="new_sessions_per_second_per_source"} 5`,
  ]);
  t.is(lines(text, 'spillway_limit_now').length, 8);
  t.true(text.includes(`spillway_limit_now${one}limit="sessions"} 12\n`));
  t.true(text.includes(`spillway_limit_refused_packets_total${whole}reason="connection_rate"} 9007199254740993\n`));
});
