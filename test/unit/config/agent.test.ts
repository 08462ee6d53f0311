import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { InvalidError } from '../../../src/base/errors.js';
import { type AgentConfig, loadAgentConfig, parseAgentConfig, readClusterSecret } from '../../../src/config/agent.js';

const defaults: AgentConfig = {
  instance: 'default',
  interfaces: ['eth0'],
  xdpMode: 'auto',
  listen: { unix: '/run/spillway/agent.sock', tcp: null },
  metrics: { host: '127.0.0.1', port: 9155 },
  stateDirectory: '/var/lib/spillway/default',
  pinDirectory: '/sys/fs/bpf/spillway',
  objectDirectory: null,
  limits: {
    sessions: 1_000_000,
    services: 4096,
    backends: 65_535,
    backendGroups: 1024,
    vips: 4096,
    accessListEntries: 131_072,
    fragments: 16_384,
    sourceCells: 262_144,
  },
  clusterSecretFile: null,
  node: { name: hostname(), zone: '', onTermination: 'keep', drainTimeoutMs: 60_000 },
  sync: null,
  agreement: { quorum: 'majority', suspectPercent: 50, suspectWithdraws: false },
  zones: { holdDownMs: 10_000 },
  routes: null,
  icmp: { echoPerSecond: 1000, errorsPerSecond: 1000 },
  fragments: { earlyPerSecond: 1000 },
  reconcileIntervalMs: 10_000,
  healthChecks: { concurrency: 2000 },
  metering: { keepDays: 400, reporters: 4096 },
  log: { level: 'info', pretty: false },
};

function faults(text: string): string[] {
  try {
    parseAgentConfig(text);
  } catch (error) {
    if (error instanceof InvalidError)
      return error.violations.map(({ field, description }) => `${field}: ${description}`);
    throw error;
  }
  return [];
}

test('an interface is all that must be said', (t) => {
  t.deepEqual(parseAgentConfig('interfaces: [eth0]'), defaults);
});

test('the example is valid and says the defaults', (t) => {
  const example = loadAgentConfig('scripts/spillwayd.example.yaml');
  const { clusterSecretFile, listen, node, sync, routes, ...rest } = example;
  const { clusterSecretFile: _, listen: unset, node: unnamed, sync: none, routes: noRoutes, ...expected } = defaults;
  t.deepEqual(rest, expected);
  t.deepEqual(node, { ...unnamed, name: 'lb1' });
  t.is(none, null);
  t.is(noRoutes, null);
  // What the example's own values do not say is by default what the example says.
  const shortest = parseAgentConfig(`
interfaces: [eth0]
clusterSecretFile: /etc/spillway/cluster-secret
sync: {interface: eth1}
routes: {localAs: 65001, routerId: 192.0.2.11, neighbors: [{address: 192.0.2.1, as: 65000}]}`);
  const { tls, ...plain } = sync!;
  t.deepEqual(tls, {
    certificate: '/etc/spillway/node.crt',
    key: '/etc/spillway/node.key',
    ca: '/etc/spillway/nodes-ca.crt',
  });
  t.deepEqual({ ...plain, tls: null }, shortest.sync!);
  t.deepEqual(routes, shortest.routes);
  t.is(clusterSecretFile, '/etc/spillway/cluster-secret');
  t.is(listen.unix, unset.unix);
  t.deepEqual(listen.tcp, {
    host: '0.0.0.0',
    port: 9154,
    certificate: '/etc/spillway/node.crt',
    key: '/etc/spillway/node.key',
    clientCa: '/etc/spillway/clients-ca.crt',
  });
});

test('what can be switched off is switched off by null', (t) => {
  const config = parseAgentConfig(`
instance: edge-1
interfaces: [eth0, bond0.7]
listen:
  unix: null
  tcp: {address: "[::]:9999", certificate: /a, key: /b, clientCa: /c}
metrics: {address: null}
reconcileInterval: 250ms
`);
  t.is(config.stateDirectory, '/var/lib/spillway/edge-1');
  t.is(config.listen.unix, null);
  t.like(config.listen.tcp, { host: '::', port: 9999 });
  t.is(config.metrics, null);
  t.is(config.reconcileIntervalMs, 250);
});

const table: readonly (readonly [name: string, text: string, expected: readonly string[]])[] = [
  ['no interfaces', '{}', ['interfaces: required: the interfaces that VIP traffic comes in by, as [eth0]']],
  ['one interface that is no list', 'interfaces: eth0', ['interfaces: "eth0": a list is expected']],
  [
    'bad interfaces',
    'interfaces: [eth0, eth0, a-name-too-long-for-linux, 5]',
    [
      'interfaces[1]: "eth0" is given twice',
      'interfaces[2]: "a-name-too-long-for-linux": the name of an interface, up to 15 characters, is expected',
      'interfaces[3]: 5: the name of an interface, up to 15 characters, is expected',
    ],
  ],
  ['nine interfaces', 'interfaces: [a, b, c, d, e, f, g, h, i]', ['interfaces: 9 interfaces; at most 8']],
  [
    'an instance that would leave its folder',
    'interfaces: [a]\ninstance: ../x',
    ['instance: "../x": a letter, then letters, digits, "-" or "_", up to 32 characters, is expected'],
  ],
  ['an unknown mode', 'interfaces: [a]\nxdpMode: fast', ['xdpMode: "fast": one of auto, native, generic is expected']],
  [
    'a misspelled section',
    'interfaces: [a]\nlimit: {}',
    [
      'limit: unknown field (did you mean "limits"?); known here: instance, stateDirectory, sync, routes, interfaces, xdpMode, listen, metrics, pinDirectory, objectDirectory, limits, clusterSecretFile, node, agreement, zones, icmp, fragments, reconcileInterval, healthChecks, metering, log',
    ],
  ],
  [
    'a misspelled limit',
    'interfaces: [a]\nlimits: {session: 5000}',
    [
      'limits.session: unknown field (did you mean "sessions"?); known here: sessions, services, backends, backendGroups, vips, accessListEntries, fragments, sourceCells',
    ],
  ],
  [
    'limits out of range',
    'interfaces: [a]\nlimits: {sessions: 999, backends: 65536, accessListEntries: 63}',
    [
      'limits.sessions: 999: a whole number from 1000 to 64000000 is expected',
      'limits.backends: 65536: a whole number from 64 to 65535 is expected',
      'limits.accessListEntries: 63: a whole number from 64 to 1048576 is expected',
    ],
  ],
  [
    'rates out of range',
    'interfaces: [a]\nicmp: {echoPerSecond: -1}\nfragments: {earlyPerSecond: 100001}',
    [
      'icmp.echoPerSecond: -1: a whole number from 0 to 1000000 is expected',
      'fragments.earlyPerSecond: 100001: a whole number from 0 to 100000 is expected',
    ],
  ],
  ['nowhere to listen', 'interfaces: [a]\nlisten: {unix: null}', ['listen: nothing to listen on: set unix or tcp']],
  [
    'TCP without TLS',
    'interfaces: [a]\nlisten: {tcp: {address: "0.0.0.0:9154"}}',
    ['certificate', 'key', 'clientCa'].map(
      (key) => `listen.tcp.${key}: required: the path of a PEM file; TCP is served with mutual TLS only`,
    ),
  ],
  [
    'an address without a port',
    'interfaces: [a]\nmetrics: {address: 127.0.0.1}',
    ['metrics.address: "127.0.0.1": an address and port, as "127.0.0.1:9155" or "[::1]:9155", is expected'],
  ],
  [
    'a relative path',
    'interfaces: [a]\nstateDirectory: var',
    ['stateDirectory: "var": an absolute path without ".." is expected'],
  ],
  [
    'a duration without a unit',
    'interfaces: [a]\nreconcileInterval: 10',
    ['reconcileInterval: 10: a duration from "100ms" to "60m" is expected'],
  ],
  [
    'a socket path that the kernel would cut',
    `interfaces: [a]\nlisten: {unix: "/${'x'.repeat(107)}"}`,
    [`listen.unix: "/${'x'.repeat(58)}...: longer than 107 bytes`],
  ],
];

for (const [name, text, expected] of table) {
  test(`refused: ${name}`, (t) => {
    t.deepEqual(faults(text), expected);
  });
}

test('a file that cannot be read is named', (t) => {
  const error = t.throws(() => loadAgentConfig('/nonexistent/spillwayd.yaml'), { instanceOf: InvalidError });
  t.regex(error!.message, /\/nonexistent\/spillwayd\.yaml cannot be read: ENOENT/);
});

test('a cluster secret is at least 16 bytes, without the white space around it', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-api-secret-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'secret');
  const config = { ...defaults, clusterSecretFile: file };
  writeFileSync(file, 'sixteen bytes ok\n');
  t.is(readClusterSecret(config)?.toString(), 'sixteen bytes ok');
  writeFileSync(file, 'fifteen bytes..\n\n');
  t.throws(() => readClusterSecret(config), { instanceOf: InvalidError, message: /holds 15 bytes, at least 16/ });
  rmSync(file);
  t.throws(() => readClusterSecret(config), {
    instanceOf: InvalidError,
    message: /^clusterSecretFile: .* cannot be read/,
  });
  t.is(readClusterSecret(defaults), null);
});
