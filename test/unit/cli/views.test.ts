import { readFileSync, writeFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { codec, type Input, type messages } from '../../../src/api/client.js';
import { palette } from '../../../src/cli/format/color.js';
import { formatTable } from '../../../src/cli/format/table.js';
import { ratesBetween, type Sample } from '../../../src/cli/rates.js';
import { formatApplied } from '../../../src/cli/views/apply.js';
import { formatBackends, formatHistory, selectBackends } from '../../../src/cli/views/backends.js';
import { formatReasons } from '../../../src/cli/views/drops.js';
import { formatExplanation } from '../../../src/cli/views/explain.js';
import { sessionColumns, sessionRow } from '../../../src/cli/views/sessions.js';
import { formatStatus } from '../../../src/cli/views/status.js';
import { formatTop, topOf } from '../../../src/cli/views/top.js';
import { ago, nowMs, statusInput, statusMessage } from './fixture.js';

const paint = palette({ terminal: false, env: {} });
const view = { nowMs, paint };

/** UPDATE_GOLDEN=1 writes what is printed now: look at the difference before it is committed. */
function golden(t: ExecutionContext, name: string, text: string): void {
  const file = new URL(`../../../../test/unit/cli/golden/${name}.txt`, import.meta.url);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
  t.is(text, readFileSync(file, 'utf8'));
}

function samples(): [Sample, Sample] {
  return [
    { atMs: 0, status: statusMessage() },
    { atMs: 2000, status: statusMessage(statusInput(2n)) },
  ];
}

test('status', (t) => {
  golden(t, 'status', formatStatus(statusMessage(), view));
});

test('status of a node that has nothing yet', (t) => {
  const { decode } = codec('spillway.v1.Status');
  golden(t, 'status_empty', formatStatus(decode(new Uint8Array()), view));
});

test('backends with history', (t) => {
  const rows = selectBackends(statusMessage(), { group: null, unhealthyOnly: false });
  golden(t, 'backends', formatBackends(rows, view) + formatHistory(rows, view));
});

test('backends are picked by group and by health', (t) => {
  const names = (group: string | null, unhealthyOnly: boolean): string[] =>
    selectBackends(statusMessage(), { group, unhealthyOnly }).map(({ backend }) => backend.name);
  t.deepEqual(names('pool', false), ['be1', 'be2', 'be3']);
  t.deepEqual(names('none', false), []);
  t.deepEqual(names(null, true), ['be2', 'r1']);
});

test('drops: drops before passes, the most frequent first, with rate and last sample', (t) => {
  const [before, after] = samples();
  const options = { ...view, rates: ratesBetween(before, after), zero: false };
  golden(t, 'drops', formatReasons(after.status.reasons, options));
  t.regex(formatReasons(after.status.reasons, { ...options, zero: true }), /^drop {5}stopped/m);
  t.is(formatReasons([], options), '');
});

test('top: busiest first, with rates', (t) => {
  const [before, after] = samples();
  const top = topOf(after.status, ratesBetween(before, after));
  golden(t, 'top', formatTop(after.status, top, { ...view, rows: Number.POSITIVE_INFINITY }));
});

test('top fits the rows of the terminal', (t) => {
  const [before, after] = samples();
  const top = topOf(after.status, ratesBetween(before, after));
  for (const rows of [10, 12, 24]) {
    const lines = formatTop(after.status, top, { ...view, rows })
      .trimEnd()
      .split('\n');
    t.true(lines.length <= rows, `${lines.length} lines in ${rows} rows`);
  }
});

test('rates: what is new, or counts from the start again, has the rate 0', (t) => {
  const [before, after] = samples();
  const again = ratesBetween({ ...after, atMs: 0 }, { ...before, atMs: 1000 });
  t.is(again.ofListener(before.status.listeners[0]!).packets, 0);
  const fresh = ratesBetween({ atMs: 0, status: statusMessage({ listeners: [], reasons: [] }) }, after);
  t.is(fresh.ofListener(after.status.listeners[0]!).packets, 0);
  t.is(fresh.ofReason(after.status.reasons[0]!), 0);
});

test('explain: forward by session', (t) => {
  golden(
    t,
    'explain_forward',
    explained({
      verdict: 'forward',
      loadBalancer: 'web',
      listener: 'https',
      backendGroup: 'pool',
      backend: 'be1',
      backendAddress: '203.0.113.11',
      nextHopMac: '02:00:5e:10:00:0b',
      egressInterface: 'eth0.20',
      egressVlan: 20,
      forwarding: 'IPIP',
      chosenBy: 'session',
      session: { state: 'ESTABLISHED', age: { seconds: 12 }, idle: { seconds: 1 }, expiresIn: { seconds: 899 } },
      steps: ['session found in bucket 17, slot 2', 'backend pool/be1 is up'],
    }),
  );
});

test('explain: drop', (t) => {
  golden(
    t,
    'explain_drop',
    explained({ verdict: 'drop', reason: 'no_listener', steps: ['192.0.2.1 is a VIP of web'] }),
  );
});

function explained(input: Input<messages.Explanation>): string {
  const { encode, decode } = codec('spillway.v1.Explanation');
  return formatExplanation(decode(encode(input)), { title: 'TCP 198.51.100.7:40000 -> 192.0.2.1:443', paint });
}

test('sessions', (t) => {
  const { encode, decode } = codec('spillway.v1.Session');
  const session = decode(
    encode({
      protocol: 'TCP',
      client: '2001:db8::7',
      clientPort: 40_000,
      vip: '2001:db8::1',
      vipPort: 443,
      loadBalancer: 'web',
      listener: 'https',
      backendGroup: 'pool',
      backend: 'be1',
      state: 'ESTABLISHED',
      age: { seconds: 200 },
      idle: { seconds: 0, nanos: 5_000_000 },
      expiresIn: { seconds: 899 },
    }),
  );
  golden(t, 'sessions', formatTable(sessionColumns, [sessionRow(session, paint)]));
});

test('apply: steps, then what became of it', (t) => {
  const { encode, decode } = codec('spillway.v1.ApplyResponse');
  const response = (input: Input<messages.ApplyResponse>) => decode(encode(input));
  const changed = response({
    version: 8,
    changed: true,
    stepCount: 1002,
    steps: ['add backend be9', 'fill maglev pool'],
  });
  golden(
    t,
    'apply',
    [
      formatApplied(changed, { validateOnly: false, paint }),
      formatApplied(changed, { validateOnly: true, paint }),
      formatApplied(response({ version: 8 }), { validateOnly: false, paint }),
      formatApplied(response({ version: 8 }), { validateOnly: true, paint }),
    ].join('--\n'),
  );
});

test('an enum value of a newer agent is printed as its number', (t) => {
  const status = statusMessage();
  const backend = { ...status.listeners[0]!.backends[0]!, health: 9 as unknown as messages.HealthState, since: ago(1) };
  t.regex(formatBackends([{ listener: status.listeners[0]!, backend }], view), / 9 /);
});

test('where backends have zones they are shown, and what another zone leaves a backend of its weight', (t) => {
  const status = statusMessage();
  const listener = status.listeners[0]!;
  const [one, two] = listener.backends;
  const rows = [
    { listener, backend: { ...one!, zone: 'a' } },
    { listener, backend: { ...two!, zone: 'b', up: true, weight: 100, effectiveWeight: 0 } },
    { listener, backend: { ...two!, zone: '', up: true, weight: 100, effectiveWeight: 20 } },
  ];
  const [head, ...lines] = formatBackends(rows, view).split('\n');
  t.regex(head!, /ADDRESS +ZONE +EGRESS/);
  t.regex(lines[0]!, /203\.0\.113\.11 +a +- +100 /);
  t.regex(lines[1]!, /203\.0\.113\.12 +b +- +0 of 100 /);
  t.regex(lines[2]!, /203\.0\.113\.12 +- +- +20 of 100 /);
  t.notRegex(formatBackends([{ listener, backend: one! }], view), /ZONE/);
});
