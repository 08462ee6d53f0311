import test from 'ava';
import type { Input, messages } from '../../../src/api/client.js';
import { startFakeAgent } from './fake_agent.js';
import { spillway } from './spillway.js';

const seconds = BigInt(Date.UTC(2026, 0, 2, 3) / 1000);
const record = (hour: bigint, loadBalancer: string, scale: bigint): Input<messages.MeteringRecord> => ({
  loadBalancer,
  hour: { seconds: seconds + hour * 3600n },
  packetsIn: 1000n * scale,
  bytesIn: 1_048_576n * scale,
  packetsOut: 2000n * scale,
  bytesOut: 3_221_225_472n * scale,
  newSessions: 10n * scale,
  peakSessions: 7n * scale,
  seconds: hour === 1n ? 754 : 3600,
});

/** Two pages. */
async function agentWith(requests: messages.ListMeteringRequest[]) {
  return startFakeAgent({
    MeteringService: {
      list(request) {
        requests.push(request);
        if (request.loadBalancer === 'none') return { records: [] };
        return request.pageToken === ''
          ? { records: [record(0n, 'dns', 1n), record(0n, 'web', 12n)], nextPageToken: 'more' }
          : { records: [record(1n, 'web', 4_294_967_297n)] };
      },
    },
  });
}

test('metering: a table with units, hour by hour, and its sum', async (t) => {
  const requests: messages.ListMeteringRequest[] = [];
  const agent = await agentWith(requests);
  t.teardown(agent.close);
  const before = Date.now();
  const run = await spillway(['metering'], agent);
  t.is(run.code, 0, run.stderr);
  const [head, ...rows] = run.stdout.trimEnd().split('\n');
  t.regex(head!, /^HOUR +LOAD BALANCER +PACKETS IN +BYTES IN +PACKETS OUT +BYTES OUT +NEW SESSIONS +PEAK +METERED$/);
  t.regex(rows[0]!, /^2026-01-02 03:00Z +dns +1,000 +1\.00 MiB +2,000 +3\.00 GiB +10 +7 +1h 00m$/);
  t.regex(rows[1]!, /^2026-01-02 03:00Z +web +12\.0k +12\.0 MiB +24\.0k +36\.0 GiB +120 +84 +1h 00m$/);
  t.regex(rows[2]!, /^2026-01-02 04:00Z +web .* 12m 34s$/);
  t.regex(rows[3]!, /^total /);
  t.deepEqual(
    requests.map(({ pageToken }) => pageToken),
    ['', 'more'],
  );
  const from = Number(requests[0]!.from!.seconds) * 1000;
  t.true(Math.abs(before - 24 * 3_600_000 - from) < 30_000, 'the last day unless asked otherwise');
  t.is(requests[0]!.until, null);
});

test('metering --json: a record a line, every digit there', async (t) => {
  const requests: messages.ListMeteringRequest[] = [];
  const agent = await agentWith(requests);
  t.teardown(agent.close);
  const run = await spillway(
    ['metering', '--json', '-l', 'web', '--from', '2026-01-02', '--until', '2026-01-02T05:30+02:00'],
    agent,
  );
  const lines = run.stdout.trimEnd().split('\n');
  t.is(lines.length, 3);
  t.deepEqual(JSON.parse(lines[2]!), {
    loadBalancer: 'web',
    hour: '2026-01-02T04:00:00Z',
    packetsIn: '4294967297000',
    bytesIn: String(1_048_576n * 4_294_967_297n),
    packetsOut: '8589934594000',
    bytesOut: String(3_221_225_472n * 4_294_967_297n),
    newSessions: '42949672970',
    peakSessions: '30064771079',
    seconds: 754,
  });
  t.like(requests[0], { loadBalancer: 'web' });
  t.is(Number(requests[0]!.from!.seconds), Date.UTC(2026, 0, 2) / 1000);
  t.is(Number(requests[0]!.until!.seconds), Date.UTC(2026, 0, 2, 3, 30) / 1000);
});

test('metering: nothing to tell is said, and a time that is none is wrong usage', async (t) => {
  const agent = await agentWith([]);
  t.teardown(agent.close);
  const none = await spillway(['metering', '-l', 'none'], agent);
  t.like(none, { code: 0, stdout: '', stderr: 'nothing was metered in this time\n' });
  for (const time of ['yesterday', '2026-02-31', '2026-01-02T25:00Z', '1w']) {
    const wrong = await spillway(['metering', '--from', time], agent);
    t.is(wrong.code, 2, time);
    t.regex(wrong.stderr, /Wanted: 2026-01-31, 2026-01-31T14:00Z, or 90m, 12h, 7d ago/);
  }
});

test('addresses: pools with what is free, and who has what', async (t) => {
  const pools: Input<messages.AddressPoolStatus>[] = [
    {
      name: 'public',
      scope: 'PUBLIC',
      families: [
        { family: 'IPV4', size: 254n, given: 200n, otherwise: 54n, free: 0n },
        { family: 'IPV6', size: 2n ** 64n - 1n, given: 1n, otherwise: 0n, free: 2n ** 64n - 1n },
      ],
      held: [
        { address: '192.0.2.1', holder: 'web', use: 'GIVEN' },
        { address: '192.0.2.2', holder: 'dns', use: 'EXPLICIT' },
        { address: '192.0.2.3', holder: 'pool/be1', use: 'BACKEND' },
        { address: '2001:db8::1', holder: 'web', use: 'GIVEN' },
      ],
    },
  ];
  const asked: string[] = [];
  const agent = await startFakeAgent({
    StatusService: {
      listAddresses({ pool }) {
        asked.push(pool);
        return { pools: pool === 'idle' ? [] : pools };
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['addresses'], agent);
  t.is(
    run.stdout,
    `POOL    SCOPE   FAMILY         SIZE  GIVEN  OTHERWISE         FREE
public  PUBLIC  IPV4            254    200         54            0
public  PUBLIC  IPV6    >= 2^64 - 1      1          0  >= 2^64 - 1

ADDRESS      POOL    HOLDER    USE
192.0.2.1    public  web       given
192.0.2.2    public  dns       in the document
192.0.2.3    public  pool/be1  backend
2001:db8::1  public  web       given
`,
    run.stderr,
  );
  const json = await spillway(['addresses', '--json', '--pool', 'public'], agent);
  t.like(JSON.parse(json.stdout)[0], {
    name: 'public',
    families: [{ family: 'IPV4', size: '254', free: '0' }, { free: '18446744073709551615' }],
  });
  t.deepEqual(asked, ['', 'public']);
  t.like(await spillway(['addresses', '--pool', 'idle'], agent), { code: 0, stdout: '', stderr: 'no address pools\n' });
});
