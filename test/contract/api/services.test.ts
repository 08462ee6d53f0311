import test from 'ava';
import { until } from '../../support/lab/until.js';
import { session } from './fake_agent.js';
import { refused, sample, startApi } from './harness.js';

test('Status has every field of the agent, 64-bit counters and times included', async (t) => {
  const { client } = await startApi(t);
  const status = await client.status.get();
  t.deepEqual(status.node!.startedAt, { seconds: 1n, nanos: 500_000_000 });
  t.is(status.node!.attachments[0]!.mode, 'native');
  t.like(status.sessionTable, { slots: 1024n, closing: 3n, reusedExpired: 3n, evictedOld: 6n, reselected: 8n });
  const [listener] = status.listeners;
  t.like(listener, { protocol: 'TCP', forwarding: 'IPIP', scheduler: 'TCH', failingOpen: true });
  t.is(listener!.traffic!.packets, 9_007_199_254_740_993n);
  const [backend] = listener!.backends;
  t.like(backend, { health: 'UNHEALTHY', agreedHealth: 'HEALTHY', up: true, zone: 'a' });
  t.deepEqual(backend!.lastCheckDuration, { seconds: 0n, nanos: 1_500_000 });
  t.like(backend!.history[0], { from: 'UNKNOWN', to: 'UNHEALTHY', reason: 'connect: ECONNREFUSED' });
  t.like(status.reasons[0], { reason: 'no_listener', drop: true, packets: 5n });
  t.is(status.reasons[0]!.lastSample!.source, '198.51.100.7');
  t.is(status.reconciliation!.lastAt, null);
  t.is((await client.status.get({ summary: true })).listeners[0]!.backends.length, 0);
});

test('Status.Watch joins a burst of changes and always gives the last one', async (t) => {
  const { client, agent } = await startApi(t);
  const seen: string[] = [];
  const startedAt = Date.now();
  for await (const { problems } of client.status.watch()) {
    seen.push(problems[0] ?? '');
    if (seen.length === 1) for (let burst = 1; burst <= 500; burst++) agent.changeStatus(`change ${burst}`);
    if (problems[0] === 'change 500') break;
  }
  t.true(seen.length <= 3, `${seen.length} messages for 500 changes`);
  t.true(Date.now() - startedAt >= 95, 'no two within 100 ms');
  await until('the server stops watching', () => agent.statusWatchers.size === 0);
});

test('a client that goes away leaves no watcher behind', async (t) => {
  const { client, agent, calls } = await startApi(t);
  const stop = new AbortController();
  const ended = (async () => {
    for await (const _ of client.status.watch({}, { signal: stop.signal })) stop.abort();
  })();
  await ended;
  await until('the server stops watching', () => agent.statusWatchers.size === 0);
  await until('the call is reported', () => calls.length === 1);
  t.like(calls[0], { service: 'StatusService', method: 'Watch', code: 'CANCELLED' });
});

test('sessions come in pages, and a token holds for its own filter only', async (t) => {
  const { client, agent } = await startApi(t);
  agent.sessionsHeld = Array.from({ length: 2500 }, (_, index) => session(index));
  const ports: number[] = [];
  let pageToken = '';
  let pages = 0;
  do {
    const page = await client.sessions.list({ pageToken, filter: { protocol: 'UDP' } });
    ports.push(...page.sessions.map(({ clientPort }) => clientPort));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== '');
  t.is(pages, 3);
  t.deepEqual(
    ports,
    Array.from({ length: 2500 }, (_, index) => index),
  );

  const first = await client.sessions.list({ pageSize: 1 });
  t.like(first.sessions[0], { protocol: 'UDP', state: 'YOUNG', age: { seconds: 1n, nanos: 250_000_000 } });
  for (const [token, expected] of [
    [first.nextPageToken, /another filter/],
    ['nonsense', /none of this agent/],
  ] as const) {
    const error = await refused(t, client.sessions.list({ pageToken: token, filter: { vip: '192.0.2.1' } }));
    t.is(error.violations[0]!.field, 'pageToken');
    t.regex(error.violations[0]!.description, expected);
  }
  const tooMany = await refused(t, client.sessions.list({ pageSize: 10_001 }));
  t.deepEqual(tooMany.violations, [{ field: 'pageSize', description: '10001 is not within 1 to 10000' }]);
});

test('a filter reaches the agent canonical, and is refused with every field at fault', async (t) => {
  const { client, agent } = await startApi(t);
  await client.sessions.list({
    filter: { client: '2001:DB8:0::/32', vip: '2001:db8::0:1', vipPort: 443, state: 'ESTABLISHED', backend: 'be1' },
  });
  t.deepEqual(agent.lastFilter, {
    backend: 'be1',
    client: { address: '2001:db8::', prefixLength: 32 },
    vip: '2001:db8::1',
    vipPort: 443,
    state: 'established',
  });
  const error = await refused(
    t,
    client.sessions.list({ filter: { client: '198.51.100.0/33', vip: 'here', vipPort: 65_536 } }),
  );
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['filter.client', 'filter.vip', 'filter.vipPort'],
  );
});

test('Explain wants a whole flow of one family, and gives the decision step by step', async (t) => {
  const { client, agent } = await startApi(t);
  const flow = { protocol: 'TCP', client: '198.51.100.7', clientPort: 40_000, vip: '192.0.2.1', vipPort: 443 } as const;
  const explanation = await client.sessions.explain(flow);
  const asked = { ...flow, protocol: 'tcp', syn: false, ignoreSession: false } as const;
  t.deepEqual(agent.lastFlow, { ...asked, quicConnectionId: Buffer.alloc(0) });
  await client.sessions.explain({ ...flow, syn: true, ignoreSession: true, quicConnectionId: Buffer.of(7, 1) });
  t.like(agent.lastFlow, { syn: true, ignoreSession: true, quicConnectionId: Buffer.of(7, 1) });
  t.like(explanation, { verdict: 'forward', chosenBy: 'maglev', maglevSlot: 7, forwarding: 'L2_DSR' });
  t.is(explanation.session!.expiresIn!.seconds, 89n);
  const empty = await refused(t, client.sessions.explain({}));
  t.deepEqual(
    empty.violations.map(({ field }) => field),
    ['protocol', 'client', 'clientPort', 'vip', 'vipPort'],
  );
  t.regex((await refused(t, client.sessions.explain({ ...flow, vip: '2001:db8::1' }))).message, /one family/);
});

test('Purge wants a filter or all, not both', async (t) => {
  const { client, agent } = await startApi(t);
  agent.sessionsHeld = [session(1), session(2)];
  t.is((await refused(t, client.sessions.purge())).violations[0]!.field, 'filter');
  t.is((await refused(t, client.sessions.purge({ filter: {} }))).violations[0]!.field, 'filter');
  t.is((await refused(t, client.sessions.purge({ all: true, filter: { vipPort: 1 } }))).violations[0]!.field, 'all');
  t.is((await client.sessions.purge({ filter: { vipPort: 53 } })).purged, 2n);
  t.deepEqual(agent.lastFilter, { vipPort: 53 });
  await client.sessions.purge({ all: true });
  t.is(agent.lastFilter, null);
});

test('the node tells its version, reconciles and detaches', async (t) => {
  const { client } = await startApi(t);
  const version = await client.node.getVersion();
  t.like(version, { version: '0.1.0', layoutVersion: 1, verifiedInstructions: 9 });
  t.deepEqual(
    version.programs.map(({ name, tag, verifiedInstructions, jitedBytes }) => [
      name,
      tag,
      verifiedInstructions,
      jitedBytes,
    ]),
    [
      ['lb', 'abcd', 9, 100],
      ['probe', 'ef01', 5, 0],
    ],
  );
  t.like(await client.node.reconcile(), { repairs: 2, steps: ['backend 7: rewritten', 'vip 192.0.2.1: added'] });
  t.deepEqual(await client.node.detach(), { interfaces: ['eth0'] });
});

test('each call is reported with its method, code and duration', async (t) => {
  const { client, calls } = await startApi(t);
  await client.config.apply({ config: sample });
  await refused(t, client.config.deleteListener({ loadBalancer: 'web', name: 'none' }));
  t.deepEqual(
    calls.map(({ service, method, code }) => [service, method, code]),
    [
      ['ConfigService', 'Apply', 'OK'],
      ['ConfigService', 'DeleteListener', 'NOT_FOUND'],
    ],
  );
  t.true(calls.every(({ durationMs }) => durationMs > 0 && durationMs < 10_000));
});
