import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createServer } from '../../../src/api/server.js';
import { memoryAgent } from './memory_agent.js';
import { spillway, startSpillway } from './spillway.js';

const document = (port: number, weight = 100): string => `
loadBalancers:
  - name: web
    addresses: [192.0.2.1]
    listeners: [{ name: https, protocol: TCP, port: ${port}, backendGroup: pool }]
backendGroups:
  - name: pool
    forwarding: IPIP
    backends: [{ name: be1, address: 203.0.113.11, weight: ${weight} }]
`;

/** The API server itself, with the state in memory. */
async function start(t: ExecutionContext): Promise<{ socket: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  const listen = { unix: join(folder, 'agent.sock'), tcp: null };
  const server = await createServer({ agent: memoryAgent(), listen });
  t.teardown(async () => {
    await server.stop({ deadlineMs: 100 });
    rmSync(folder, { recursive: true, force: true });
  });
  return { socket: server.targets[0]! };
}

test('apply, get, weight, drain: the state changes as said, and a stale version is refused', async (t) => {
  const agent = await start(t);
  const first = await spillway(['apply', '-f', '-'], { ...agent, input: document(443) });
  t.is(first.code, 0, first.stderr);
  t.is(first.stdout, '1  swap the state in memory\napplied: version 1, 1 step\n');
  const again = await spillway(['apply', '-f', '-'], { ...agent, input: document(443) });
  t.is(again.stdout, 'unchanged: version 1 is in force\n');
  const stale = await spillway(['apply', '-f', '-', '--expected-version', '0'], { ...agent, input: document(80) });
  t.is(stale.code, 1);
  t.regex(stale.stderr, /version in force is 1, not 0/);

  t.is((await spillway(['weight', 'pool/be1', '7'], agent)).stdout, 'pool/be1: weight 7\n');
  t.regex((await spillway(['get'], agent)).stdout, /^# version 2[\s\S]*weight: 7\n/);
  t.is((await spillway(['drain', 'pool/be1'], agent)).code, 0);
  t.regex((await spillway(['get'], agent)).stdout, /weight: 0\n/);
  const unknown = await spillway(['weight', 'pool/be9', '7'], agent);
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /^spillway: .*be9/);
});

test('what get prints is the state in force: applied again, it changes nothing', async (t) => {
  const agent = await start(t);
  await spillway(['apply', '-f', '-'], { ...agent, input: document(443, 0) });
  const { stdout } = await spillway(['get'], agent);
  const again = await spillway(['apply', '-f', '-'], { ...agent, input: stdout });
  t.is(again.stdout, 'unchanged: version 1 is in force\n', stdout + again.stderr);
});

const features = `
loadBalancers:
  - name: web
    addressRequest: { scope: PRIVATE, families: [IPV4, IPV6] }
    limits: { bitsPerSecond: 10000000000, newSessionsPerSecondPerSource: 50 }
    maxSegmentSize: 1400
    listeners:
      - protocol: UDP
        port: 443
        backendGroup: pool
        scheduler: QCH
        quic:
          configs: [{ id: 0, serverIdLength: 2, nonceLength: 14, key: AAECAwQFBgcICQoLDA0ODw== }]
        accessControl: { mode: DENY, accessList: rude }
        limits: { packetsPerSecond: "1000000", sessions: 5000 }
      - { protocol: TCP, port: 80, backendGroup: pool, scheduler: WLC, sourcePersistence: 60s, slowStart: 30s, healthCheck: { tcp: {} } }
backendGroups:
  - name: pool
    forwarding: GUE
    tunnelPort: 6081
    portMapping: true
    backends: [{ name: be1, address: 203.0.113.11, port: 8443, quicServerId: AAE= }]
accessLists: [{ name: rude, entries: [198.51.100.7, "2001:db8:bad::/48"] }]
addressPools: [{ name: lan, scope: PRIVATE, prefixes: [10.0.0.0/24, "fd00::/64"], reserved: [10.0.0.1] }]
`;

test('every feature of a document comes back from get, as YAML and as JSON, and is in force already', async (t) => {
  const agent = await start(t);
  const applied = await spillway(['apply', '-f', '-'], { ...agent, input: features });
  t.is(applied.code, 0, applied.stderr);
  for (const format of ['yaml', 'json']) {
    const { stdout } = await spillway(['get', '-o', format], agent);
    for (const word of ['QCH', 'AAECAwQFBgcICQoLDA0ODw==', '10000000000', 'rude', '10.0.0.1', '6081', 'AAE=', 'IPV6']) {
      t.true(stdout.includes(word), `${word} in ${stdout}`);
    }
    const again = await spillway(['apply', '-f', '-'], { ...agent, input: stdout });
    t.is(again.stdout, 'unchanged: version 1 is in force\n', stdout + again.stderr);
  }
});

test('a wrong document: every field at fault with its problem', async (t) => {
  const agent = await start(t);
  const run = await spillway(['apply', '-f', '-', '--dry-run'], { ...agent, input: document(70_000, 200) });
  t.is(run.code, 1);
  t.regex(run.stderr, /refused, nothing was changed: 2 fields at fault/);
  t.regex(run.stderr, /loadBalancers\[0\]\.listeners\[0\]\.port +\S/);
  t.regex(run.stderr, /backendGroups\[0\]\.backends\[0\]\.weight +\S/);
});

test('sessions by pages and by filter; purge ends those that were meant', async (t) => {
  const agent = await start(t);
  const count = async (...args: string[]): Promise<number> => {
    const run = await spillway(['sessions', '--json', ...args], agent);
    t.is(run.code, 0, run.stderr);
    return (JSON.parse(run.stdout) as unknown[]).length;
  };
  t.is(await count(), 30);
  t.is(await count('--backend', 'pool/be1'), 10);
  t.is((await spillway(['purge', '--backend', 'pool/be1'], agent)).stdout, '10 sessions removed\n');
  t.is(await count(), 20);
  const wrong = await spillway(['sessions', '--client', 'nobody'], agent);
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /client/);
});

test('status, backends, explain, version and reconcile of the API server', async (t) => {
  const agent = await start(t);
  t.regex((await spillway(['status'], agent)).stdout, /^Node +lb1, spillway 0\.1\.0[\s\S]*^web\/https/m);
  t.regex(
    (await spillway(['backends'], agent)).stdout,
    /^web\/https +pool\/be1 +203\.0\.113\.11 +a +eth0 +100 +unchecked +yes/m,
  );
  t.regex((await spillway(['explain', 'tcp', '198.51.100.7:1', '192.0.2.9:2'], agent)).stdout, /pass: not_vip/);
  const { stdout } = await spillway(['version'], agent);
  t.regex(stdout, /^Program lb +tag 0123456789abcdef, 12,345 instructions verified, 23,456 bytes of machine code$/m);
  t.regex(stdout, /^Program probe +tag fedcba9876543210, 290 instructions verified$/m);
  t.is((await spillway(['reconcile'], agent)).stdout, 'as it should be\n');
  t.is((await spillway(['detach', '--yes'], agent)).stdout, 'nothing was attached\n');
});

test('status --watch outlives a restart of the agent', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  const listen = { unix: join(folder, 'agent.sock'), tcp: null };
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const first = await createServer({ agent: memoryAgent(), listen });
  const watching = startSpillway(['status', '--watch', '--json'], { socket: first.targets[0]! });
  t.teardown(() => watching.kill());
  await watching.lines(1);
  await first.stop({ deadlineMs: 100 });
  const second = await createServer({ agent: memoryAgent(), listen });
  t.teardown(() => second.stop({ deadlineMs: 100 }));
  await watching.lines(2);
  t.regex(watching.stderr(), /trying again\n/);
});

test('TCP with mutual TLS: the three files, and words for what is missing', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-cli-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const { ca, cert, key } = certificates(folder);
  const tcp = { host: '127.0.0.1', port: 0, certificate: cert, key, clientCa: ca };
  const server = await createServer({ agent: memoryAgent(), listen: { unix: null, tcp } });
  t.teardown(() => server.stop({ deadlineMs: 100 }));
  const socket = server.targets[0]!;
  const good = await spillway(['status', '--tls-ca', ca, '--tls-cert', cert, '--tls-key', key], { socket });
  t.is(good.code, 0, good.stderr);
  const plain = await spillway(['status', '--timeout', '5s'], { socket });
  t.is(plain.code, 1);
  t.regex(plain.stderr, /--tls-ca/);
});

/** A CA of its own and a certificate for 127.0.0.1, used by both ends. */
function certificates(folder: string): { ca: string; cert: string; key: string } {
  const [ca, caKey, cert, key] = ['ca.pem', 'ca.key', 'cert.pem', 'cert.key'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  openssl('req', '-x509', ...curve, '-subj', '/CN=test CA', '-keyout', caKey, '-out', ca);
  openssl(
    ...['req', '-x509', ...curve, '-subj', '/CN=lb1', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', ca, '-CAkey', caKey, '-keyout', key, '-out', cert],
  );
  return { ca, cert, key };
}
