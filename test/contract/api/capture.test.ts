import test from 'ava';
import { refused, startApi } from './harness.js';

const packet = {
  atNs: 1_700_000_000_123_456_789n,
  interfaceIndex: 2,
  data: Uint8Array.of(1, 2, 3),
  originalLength: 60,
  verdict: 'forward',
  reason: '',
  loadBalancer: 'web',
  listener: 'http',
  backend: 'be1',
} as const;

test('a capture names its interfaces, then hands over packets to the nanosecond', async (t) => {
  const { client, agent } = await startApi(t);
  agent.captured = [packet];
  const answers = [];
  for await (const answer of client.capture.capture({ count: 1n })) answers.push(answer);
  t.deepEqual(
    answers.map(({ packets, suppressed }) => [packets.length, suppressed]),
    [
      [0, 0n],
      [1, 7n],
    ],
  );
  t.deepEqual(answers[0]!.interfaces, [{ index: 2, name: 'eth0' }]);
  const { at, ...rest } = answers[1]!.packets[0]!;
  t.deepEqual(at, { seconds: 1_700_000_000n, nanos: 123_456_789 });
  t.like(rest, { backend: 'be1', verdict: 'forward', originalLength: 60 });
  t.deepEqual(agent.captureOptions, {
    filter: { dropsOnly: false },
    count: 1,
    durationMs: null,
    snapLength: 256,
    rate: 1000,
  });
});

test('the filter arrives as it was meant', async (t) => {
  const { client, agent } = await startApi(t);
  const filter = {
    client: '198.51.100.0/24',
    clientPort: 5,
    vip: '2001:db8::0:1',
    vipPort: 443,
    protocol: 'UDP',
  } as const;
  const request = { filter: { ...filter, dropsOnly: true, reason: 'no_listener' }, count: 1n, snapLength: 64, rate: 5 };
  for await (const _ of client.capture.capture({ ...request, duration: { seconds: 2n, nanos: 5e8 } }));
  t.deepEqual(agent.captureOptions, {
    filter: {
      dropsOnly: true,
      client: { address: '198.51.100.0', prefixLength: 24 },
      clientPort: 5,
      vip: '2001:db8::1',
      vipPort: 443,
      protocol: 'udp',
      reason: 'no_listener',
    },
    count: 1,
    durationMs: 2500,
    snapLength: 64,
    rate: 5,
  });
});

test('what is wrong with a capture is said, every field of it', async (t) => {
  const { client } = await startApi(t);
  const wrong = {
    filter: { client: 'nobody', vip: 'nowhere', clientPort: 70_000 },
    snapLength: 9000,
    rate: 2_000_000,
    duration: { seconds: 0n, nanos: 0 },
  };
  const error = await refused(
    t,
    (async () => {
      for await (const _ of client.capture.capture(wrong));
    })(),
  );
  t.deepEqual(error.violations.map(({ field }) => field).sort(), [
    'duration',
    'filter.client',
    'filter.clientPort',
    'filter.vip',
    'rate',
    'snapLength',
  ]);
});

test('a client that leaves ends its capture', async (t) => {
  const { client } = await startApi(t);
  const stop = new AbortController();
  let answers = 0;
  for await (const _ of client.capture.capture({}, { signal: stop.signal })) if (++answers === 2) stop.abort();
  t.is(answers, 2);
});
