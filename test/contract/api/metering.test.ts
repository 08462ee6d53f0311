import test from 'ava';
import type { MeteringRecord } from '../../../src/api/port.js';
import { CapacityError, UnavailableError } from '../../../src/base/errors.js';
import { refused, startApi } from './harness.js';

const hourMs = Date.UTC(2026, 0, 2, 3);
const seconds = BigInt(hourMs / 1000);
const record: MeteringRecord = {
  loadBalancer: 'web',
  hourMs,
  packetsIn: 9_007_199_254_740_993n,
  bytesIn: 18_446_744_073_709_551_615n,
  packetsOut: 3n,
  bytesOut: 4n,
  newSessions: 5n,
  peakSessions: 6,
  meteredMs: 3_599_600,
};

test('metering: records with every counter whole, for the time and the LoadBalancer asked for', async (t) => {
  const { client, agent } = await startApi(t);
  agent.records = [record];
  const from = { seconds, nanos: 0 };
  const { records, nextPageToken } = await client.metering.list({
    loadBalancer: 'web',
    from,
    until: { seconds: seconds + 1n },
  });
  t.deepEqual(records, [
    {
      loadBalancer: 'web',
      hour: { seconds, nanos: 0 },
      packetsIn: 9_007_199_254_740_993n,
      bytesIn: 18_446_744_073_709_551_615n,
      packetsOut: 3n,
      bytesOut: 4n,
      newSessions: 5n,
      peakSessions: 6n,
      seconds: 3600,
    },
  ]);
  t.is(nextPageToken, '');
  t.deepEqual(agent.lastQuery, { loadBalancer: 'web', fromMs: hourMs, untilMs: hourMs + 1000, atLeast: 10_000 });
  await client.metering.list();
  t.like(agent.lastQuery, { loadBalancer: null, fromMs: 0, atLeast: 10_000 });
});

test('metering: a page goes on with the hour that follows, and its token holds for its own request only', async (t) => {
  const { client, agent } = await startApi(t);
  agent.nextMs = hourMs + 3_600_000;
  const { nextPageToken } = await client.metering.list({ loadBalancer: 'web', pageSize: 1 });
  await client.metering.list({ loadBalancer: 'web', pageSize: 1, pageToken: nextPageToken });
  t.like(agent.lastQuery, { loadBalancer: 'web', fromMs: hourMs + 3_600_000, atLeast: 1 });
  const other = await refused(t, client.metering.list({ loadBalancer: 'dns', pageToken: nextPageToken }));
  t.is(other.code, 'INVALID_ARGUMENT');
  t.is(other.violations[0]!.field, 'pageToken');
});

test('metering: what cannot be a question is refused with its fields', async (t) => {
  const { client } = await startApi(t);
  const error = await refused(
    t,
    client.metering.list({ from: { seconds: 10n }, until: { seconds: 10n }, pageSize: 100_001 }),
  );
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['pageSize', 'until'],
  );
});

test('a report is handed on with canonical VIPs; VIPs of others are named in the answer', async (t) => {
  const { client, agent } = await startApi(t);
  const counts = { packetsIn: 1n, bytesIn: 2n, packetsOut: 3n, bytesOut: 18_446_744_073_709_551_615n };
  const answer = await client.metering.report({
    reporter: 'host-1',
    hostname: 'be1',
    epoch: 'e',
    sequence: 7n,
    usage: [
      { vip: '192.0.2.1', ...counts },
      { vip: '2001:DB8:0::1', ...counts },
    ],
  });
  t.deepEqual(answer, { sequence: 7n, unknownVips: ['2001:db8::1'] });
  t.deepEqual(agent.reports, [
    {
      reporter: 'host-1',
      hostname: 'be1',
      epoch: 'e',
      sequence: 7n,
      usage: [
        { vip: '192.0.2.1', ...counts },
        { vip: '2001:db8::1', ...counts },
      ],
    },
  ]);
});

test('a report that names nobody, no sequence, or no address is refused with every field', async (t) => {
  const { client, agent } = await startApi(t);
  const wrong = { reporter: '', epoch: 'a\nb', sequence: 0n, usage: [{ vip: '192.0.2.1' }, { vip: 'web' }] };
  const error = await refused(t, client.metering.report(wrong));
  t.is(error.code, 'INVALID_ARGUMENT');
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['reporter', 'epoch', 'sequence', 'usage[1].vip'],
  );
  const many = { reporter: 'r', epoch: 'e', sequence: 1n, usage: Array(4097).fill({ vip: '192.0.2.1' }) };
  t.is((await refused(t, client.metering.report(many))).violations[0]!.field, 'usage');
  t.deepEqual(agent.reports, []);
});

test('a full disk and too many reporters have codes of their own: send again, and raise the limit', async (t) => {
  const { client, agent } = await startApi(t);
  const report = { reporter: 'r', epoch: 'e', sequence: 1n };
  agent.failWith = new UnavailableError('metering cannot be saved: the disk is full');
  t.is((await refused(t, client.metering.report(report))).code, 'UNAVAILABLE');
  agent.failWith = new CapacityError('metering.reporters', 4096, 4097);
  const error = await refused(t, client.metering.report(report));
  t.is(error.code, 'RESOURCE_EXHAUSTED');
  t.regex(error.message, /raise metering\.reporters/);
});

test('address pools: families with sizes beyond 64 bits, and who has what', async (t) => {
  const { client, agent } = await startApi(t);
  agent.pools = [
    {
      name: 'p',
      scope: 'PRIVATE',
      families: [
        { family: 4, size: 14n, given: 1, otherwise: 2, free: 11n },
        { family: 6, size: 1n << 80n, given: 0, otherwise: 0, free: 1n << 80n },
      ],
      held: [
        { address: '10.0.0.1', by: 'web', how: 'given' },
        { address: '10.0.0.2', by: 'dns', how: 'vip' },
        { address: '10.0.0.3', by: 'g/be1', how: 'backend' },
      ],
    },
    { name: 'q', scope: 'PUBLIC', families: [], held: [] },
  ];
  const most = 2n ** 64n - 1n;
  const p = {
    name: 'p',
    scope: 'PRIVATE',
    families: [
      { family: 'IPV4', size: 14n, given: 1n, otherwise: 2n, free: 11n },
      { family: 'IPV6', size: most, given: 0n, otherwise: 0n, free: most },
    ],
    held: [
      { address: '10.0.0.1', holder: 'web', use: 'GIVEN' },
      { address: '10.0.0.2', holder: 'dns', use: 'EXPLICIT' },
      { address: '10.0.0.3', holder: 'g/be1', use: 'BACKEND' },
    ],
  };
  const q = { name: 'q', scope: 'PUBLIC', families: [], held: [] };
  t.deepEqual(await client.status.listAddresses(), { pools: [p, q] } as never);
  t.deepEqual(await client.status.listAddresses({ pool: 'q' }), { pools: [q] } as never);
  t.is((await refused(t, client.status.listAddresses({ pool: 'x' }))).code, 'NOT_FOUND');
});
