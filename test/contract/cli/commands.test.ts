import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { messages } from '../../../src/api/client.js';
import { statusInput } from '../../unit/cli/fixture.js';
import { refuse, startFakeAgent } from './fake_agent.js';
import { spillway } from './spillway.js';

const document = `
loadBalancers:
  - name: web
    addresses: [192.0.2.1]
    listeners: [{ protocol: TCP, port: 443, backendGroup: pool }]
backendGroups:
  - name: pool
    forwarding: IPIP
    backends: [{ name: be1, address: 203.0.113.11 }]
`;

test('apply sends the document, its preconditions, and prints the steps', async (t) => {
  const requests: messages.ApplyRequest[] = [];
  const agent = await startFakeAgent({
    ConfigService: {
      apply(request) {
        requests.push(request);
        return { version: 8, changed: true, stepCount: 2, steps: ['add backend pool/be1', 'fill maglev pool'] };
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['apply', '-f', '-', '--expected-version', '7'], { ...agent, input: document });
  t.is(run.stderr, '');
  t.is(run.code, 0);
  t.is(run.stdout, '1  add backend pool/be1\n2  fill maglev pool\napplied: version 8, 2 steps\n');
  t.is(requests[0]?.expectedVersion, 7n);
  t.false(requests[0]?.validateOnly);
  t.is(requests[0]?.config?.loadBalancers[0]?.listeners[0]?.port, 443);

  const file = join(tmpdir(), `spillway-cli-${process.pid}.yaml`);
  writeFileSync(file, document);
  t.teardown(() => rmSync(file));
  for (const flag of ['--dry-run', '--validate-only']) {
    const dry = await spillway(['apply', '-f', file, flag, '--json'], agent);
    t.like(JSON.parse(dry.stdout), { version: '8', changed: true, stepCount: 2 });
    t.true(requests.at(-1)?.validateOnly);
    t.is(requests.at(-1)?.expectedVersion, undefined);
  }
});

test('apply that is refused lists each field and its problem, and exits with 1', async (t) => {
  const agent = await startFakeAgent({
    ConfigService: {
      apply() {
        throw refuse('INVALID_ARGUMENT', 'invalid', [
          { field: 'loadBalancers[0].listeners[0].port', description: '0 is no port: use 1 to 65535' },
          { field: 'backendGroups[0].backends[0].address', description: '"x" is no address' },
        ]);
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['apply', '-f', '-'], { ...agent, input: document });
  t.is(run.code, 1);
  t.is(run.stdout, '');
  t.is(
    run.stderr,
    [
      'spillway: refused, nothing was changed: 2 fields at fault',
      '  FIELD                                 PROBLEM',
      '  loadBalancers[0].listeners[0].port    0 is no port: use 1 to 65535',
      '  backendGroups[0].backends[0].address  "x" is no address',
      '',
    ].join('\n'),
  );
  const json = await spillway(['apply', '-f', '-', '--json'], { ...agent, input: document });
  t.is(json.code, 1);
  const { error } = JSON.parse(json.stderr) as { error: { code: string; violations: { field: string }[] } };
  t.is(error.code, 'INVALID_ARGUMENT');
  t.is(error.violations[1]?.field, 'backendGroups[0].backends[0].address');
});

test('a document that cannot be read is not sent', async (t) => {
  const unknown = await spillway(['apply', '-f', '-'], { input: 'loadBalancer: []\n' });
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /nothing was sent[\s\S]*loadBalancer /);
  const missing = await spillway(['apply', '-f', '/nonexistent/site.yaml']);
  t.is(missing.code, 1);
  t.regex(missing.stderr, /\/nonexistent\/site\.yaml: ENOENT/);
});

test('what get prints, apply takes', async (t) => {
  let applied: messages.Config | null = null;
  const config = {
    loadBalancers: [
      {
        name: 'web',
        addresses: ['192.0.2.1', '2001:db8::1'],
        listeners: [
          {
            name: 'https',
            protocol: 'TCP' as const,
            port: 443,
            backendGroup: 'pool',
            sessionTimeout: { seconds: 900 },
            healthCheck: { http: { path: '/a: "b"', expectedCodes: ['2xx'] }, interval: { nanos: 500_000_000 } },
          },
        ],
        labels: { on: 'yes' },
      },
    ],
    backendGroups: [
      { name: 'pool', forwarding: 'IPIP' as const, backends: [{ name: '1', address: '203.0.113.11', weight: 0 }] },
    ],
  };
  const agent = await startFakeAgent({
    ConfigService: {
      get: () => ({ config, version: 7, appliedAt: { seconds: 1_767_323_045 } }),
      apply: (request) => {
        applied = request.config;
        return { version: 7 };
      },
    },
  });
  t.teardown(agent.close);
  const yaml = await spillway(['get'], agent);
  t.regex(yaml.stdout, /^# version 7, applied 2026-01-02 03:04:05Z\nloadBalancers:\n/);
  const json = await spillway(['get', '-o', 'json'], agent);
  for (const { stdout } of [yaml, json]) {
    const run = await spillway(['apply', '-f', '-'], { ...agent, input: stdout });
    t.is(run.code, 0, run.stderr);
    t.like(applied, {
      loadBalancers: [
        {
          labels: { on: 'yes' },
          listeners: [{ sessionTimeout: { seconds: 900n }, healthCheck: { http: { path: '/a: "b"' } } }],
        },
      ],
      backendGroups: [{ backends: [{ name: '1', weight: 0 }] }],
    });
  }
  const versioned = await spillway(['get', '--json'], agent);
  t.like(JSON.parse(versioned.stdout), { version: '7', appliedAt: '2026-01-02T03:04:05Z' });
});

test('status, backends, drops and top print tables, or JSON with the same numbers', async (t) => {
  let scale = 1n;
  const agent = await startFakeAgent({
    StatusService: {
      get: ({ summary }) => ({ ...statusInput(scale++), ...(summary ? { problems: ['summary'] } : {}) }),
    },
  });
  t.teardown(agent.close);
  const status = await spillway(['status'], agent);
  t.is(status.code, 0);
  t.regex(status.stdout, /! summary\n/);
  t.regex(status.stdout, /^web\/https .*serving$/m);
  t.is(
    (JSON.parse((await spillway(['status', '--json'], agent)).stdout) as { configVersion: string }).configVersion,
    '7',
  );

  const backends = await spillway(['backends', '--unhealthy', '--group', 'pool', '--history'], agent);
  t.regex(backends.stdout, /pool\/be2[\s\S]*healthy -> unhealthy: connect: ECONNREFUSED/);
  t.notRegex(backends.stdout, /be1/);
  const rows = JSON.parse((await spillway(['backends', '--json'], agent)).stdout) as {
    name: string;
    backendGroup: string;
  }[];
  t.deepEqual(
    rows.map((row) => `${row.backendGroup}/${row.name}`),
    ['pool/be1', 'pool/be2', 'pool/be3', 'resolvers/r1'],
  );

  const drops = await spillway(['drops', '--interval', '100ms'], agent);
  t.regex(drops.stdout, /^drop {5}no_listener /m);
  const reasons = JSON.parse((await spillway(['drops', '--json', '-i', '100ms'], agent)).stdout) as {
    reason: string;
    packetsPerSecond: number;
  }[];
  t.true(reasons.find((row) => row.reason === 'no_listener')!.packetsPerSecond > 0);

  const top = await spillway(['top', '--once', '--interval', '100ms'], agent);
  t.regex(top.stdout, /^BACKEND .*PACKETS\/S[\s\S]*^pool\/be1 /m);
  const numbers = JSON.parse((await spillway(['top', '--json', '-i', '100ms'], agent)).stdout) as {
    total: { packetsPerSecond: number };
    listeners: { listener: string }[];
  };
  t.true(numbers.total.packetsPerSecond > 0);
  t.is(numbers.listeners[0]?.listener, 'https');
});

test('status --watch prints each change, one JSON document a line', async (t) => {
  const agent = await startFakeAgent({
    StatusService: {
      *watch() {
        for (const configVersion of [1, 2, 3]) yield { configVersion };
      },
    },
  });
  t.teardown(agent.close);
  const run = await spillway(['status', '--watch', '--json'], agent);
  t.is(run.code, 0);
  const versions = run.stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { configVersion: string }).configVersion);
  t.deepEqual(versions, ['1', '2', '3']);
});

test('explain, reconcile, detach, purge and version ask what was meant and print the answer', async (t) => {
  const asked: unknown[] = [];
  const agent = await startFakeAgent({
    SessionService: {
      explain(request) {
        asked.push(request);
        return { verdict: 'drop', reason: 'no_listener', steps: ['no listener on port 2'] };
      },
      purge(request) {
        asked.push(request);
        return { purged: 1234 };
      },
    },
    NodeService: {
      reconcile: () => ({ repairs: 1, steps: ['put back maglev entry 3'] }),
      detach: () => ({ interfaces: ['eth0', 'eth1'] }),
      getVersion: () => ({ version: '0.2.0', nodeVersion: 'v20.19.0', kernel: '6.1', programTag: 'abc' }),
    },
  });
  t.teardown(agent.close);
  t.regex(
    (await spillway(['explain', 'udp', '[2001:db8::7]:1', '[2001:db8::1]:2'], agent)).stdout,
    /drop: no_listener/,
  );
  t.deepEqual(asked[0], {
    protocol: 'UDP',
    client: '2001:db8::7',
    clientPort: 1,
    vip: '2001:db8::1',
    vipPort: 2,
    syn: false,
    ignoreSession: false,
    quicConnectionId: Buffer.alloc(0),
  });
  t.is((await spillway(['purge', '--backend', 'pool/be1'], agent)).stdout, '1,234 sessions removed\n');
  t.like(asked[1], { all: false, filter: { backendGroup: 'pool', backend: 'be1' } });
  t.is((await spillway(['purge', '--all', '--yes'], agent)).code, 0);
  t.like(asked[2], { all: true, filter: null });
  t.is((await spillway(['reconcile'], agent)).stdout, '  put back maglev entry 3\n1 entry repaired\n');
  t.is((await spillway(['detach', '--yes'], agent)).stdout, 'detached from eth0, eth1\n');
  t.regex((await spillway(['version'], agent)).stdout, /^Agent {4}0\.2\.0, Node\.js v20\.19\.0$/m);
});
