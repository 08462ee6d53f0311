import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import test from 'ava';
import { Prober } from '../../src/dataplane/addon.js';
import { systemClock } from '../../src/health/clock.js';
import { createHealthEngine } from '../../src/health/engine.js';
import { nodeTls } from '../../src/health/tls.js';
import type { HealthChange } from '../../src/health/types.js';
import { until } from '../support/lab/until.js';

const directory = mkdtempSync(join(tmpdir(), 'hp-tls-'));
const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];

test.before(() => {
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  execFileSync('openssl', [...request, '-subj', '/CN=health', '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  });
});
test.after.always(() => rmSync(directory, { recursive: true }));

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The first verdict of an HTTPS check of this port. */
async function verdict(port: number, options: { host?: string; timeoutMs?: number } = {}): Promise<HealthChange> {
  const { promise, resolve } = newPromise<HealthChange>();
  const engine = createHealthEngine({
    prober: (onResults) => new Prober(onResults),
    tls: nodeTls(systemClock),
    clock: systemClock,
    random: Math.random,
    onChanges: ([change]) => resolve(change!),
  });
  const check = {
    probe: { kind: 'http', method: 'GET', path: '/', host: options.host ?? '', expectedCodes: [[200, 299]], tls: true },
    port,
    intervalMs: 60_000,
    timeoutMs: options.timeoutMs ?? 5000,
    rise: 1,
    fall: 1,
    target: 'BACKEND_ADDRESS',
  } as const;
  engine.setTargets([{ key: 'a', check, address: '127.0.0.1', port, mark: 0 }]);
  return promise.finally(() => engine.close());
}

function newPromise<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test.serial('HTTPS: the request goes over TLS with the server name, any certificate will do', async (t) => {
  const seen: { name: string | false | null; request: string }[] = [];
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (socket: TLSSocket) => {
    socket.once('data', (request) => {
      seen.push({ name: socket.servername ?? null, request: `${request}`.split('\r\n')[0]! });
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell');
    });
  });
  const port = await listen(server);
  t.like(await verdict(port, { host: 'www.example.org' }), { to: 'healthy' });
  t.like(await verdict(port), { to: 'healthy' });
  t.deepEqual(seen, [
    { name: 'www.example.org', request: 'GET / HTTP/1.1' },
    { name: false, request: 'GET / HTTP/1.1' },
  ]);
  server.close();
});

test.serial('HTTPS: what is no TLS, or says nothing, is a failure with its reason, within the timeout', async (t) => {
  const plain = createTcpServer((socket: Socket) =>
    socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  const failed = await verdict(await listen(plain));
  t.is(failed.to, 'unhealthy');
  t.regex(failed.reason, /^TLS: (ERR_SSL_WRONG_VERSION_NUMBER|EPROTO)/);
  plain.close();

  const sockets: Socket[] = [];
  const mute = createTcpServer((socket) => sockets.push(socket.on('error', () => {})));
  const port = await listen(mute);
  const startedMs = Date.now();
  const timedOut = await verdict(port, { timeoutMs: 300 });
  t.like(timedOut, { to: 'unhealthy', reason: 'no reply within 300 ms' });
  t.true(Date.now() - startedMs < 2000);
  for (const socket of sockets) socket.destroy();
  mute.close();
});

test.serial('HTTPS: a hundred checks leave no descriptor behind', async (t) => {
  const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 503 Busy\r\n\r\n'));
  });
  const port = await listen(server);
  await verdict(port);
  const before = openDescriptors();
  for (let i = 0; i < 10; i++) {
    const changes = await Promise.all(Array.from({ length: 10 }, () => verdict(port)));
    for (const change of changes) t.is(change.reason, 'HTTP 503, expected 2xx');
  }
  server.close();
  await until(`no more than the ${before} open before`, () => openDescriptors() <= before);
});
