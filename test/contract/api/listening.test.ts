import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { service as healthDefinition } from 'grpc-health-check';
import { connect } from '../../../src/api/client.js';
import { createServer } from '../../../src/api/server.js';
import { InvalidError, UnavailableError } from '../../../src/base/errors.js';
import { makeCertificates } from '../../support/certificates.js';
import { until } from '../../support/lab/until.js';
import { FakeAgent } from './fake_agent.js';
import { refused, startApi, temporaryFolder } from './harness.js';

test('the socket is for owner and group, in a folder that all may enter', async (t) => {
  const { socket } = await startApi(t);
  t.is(statSync(socket).mode & 0o777, 0o660);
  t.is(statSync(path.dirname(socket)).mode & 0o777, 0o755);
});

test('a live socket is left alone', async (t) => {
  const { client, socket } = await startApi(t);
  const second = createServer({ agent: new FakeAgent(), listen: { unix: socket, tcp: null } });
  await t.throwsAsync(second, { instanceOf: UnavailableError, message: /another agent listens on/ });
  t.is((await client.config.get()).version, 0n);
});

test('the socket of a killed agent is replaced', async (t) => {
  const socket = path.join(temporaryFolder(t), 'agent.sock');
  const listener = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => console.log('up'))`;
  const killed: ChildProcess = spawn(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout!, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  t.true(existsSync(socket), 'the file is still there');

  const server = await createServer({ agent: new FakeAgent(), listen: { unix: socket, tcp: null } });
  const client = connect(`unix:${socket}`);
  t.is((await client.config.get()).version, 0n);
  client.close();
  await server.stop({ deadlineMs: 1000 });
  t.false(existsSync(socket));
});

test('a file that is no socket is not removed', async (t) => {
  const socket = path.join(temporaryFolder(t), 'agent.sock');
  writeFileSync(socket, 'precious');
  const server = createServer({ agent: new FakeAgent(), listen: { unix: socket, tcp: null } });
  await t.throwsAsync(server, { instanceOf: UnavailableError, message: /is there and no socket/ });
  t.true(existsSync(socket));
});

test('an agent that restarts is found again by the same client', async (t) => {
  const { client, server, socket } = await startApi(t);
  await client.config.get();
  await server.stop({ deadlineMs: 1000 });
  t.is((await refused(t, client.config.get())).code, 'UNAVAILABLE');
  const next = await createServer({ agent: new FakeAgent(), listen: { unix: socket, tcp: null } });
  let answered = false;
  await until('an answer of the new agent', () => {
    void client.config.get().then(
      () => (answered = true),
      () => {},
    );
    return answered;
  });
  await next.stop({ deadlineMs: 1000 });
  t.pass();
});

test('stopping ends streams with UNAVAILABLE and lets a call finish', async (t) => {
  const { client, server, agent } = await startApi(t);
  const watching = (async () => {
    for await (const _ of client.config.watch()) if (agent.configWatchers.size === 0) t.fail('a watcher is expected');
  })();
  const ended = refused(t, watching);
  await until('the watch', () => agent.configWatchers.size === 1);

  let finish: (() => void) | null = null;
  const apply = agent.config.apply;
  Object.assign(agent.config, {
    apply: async (...args: Parameters<typeof apply>) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return apply(...args);
    },
  });
  const call = client.config.apply({ config: {} });
  await until('the call', () => finish !== null);
  const stopped = server.stop({ deadlineMs: 5000 });
  t.is((await ended).code, 'UNAVAILABLE');
  t.is((await ended).message, 'the agent is stopping: connect again later');
  finish!();
  t.like(await call, { changed: false });
  await stopped;
});

test('what does not finish by the deadline is cut', async (t) => {
  const { client, server, agent } = await startApi(t);
  let begun = false;
  Object.assign(agent.config, {
    apply: () => {
      begun = true;
      return new Promise(() => {});
    },
  });
  const call = refused(t, client.config.apply({ config: {} }));
  await until('the call', () => begun);
  const startedAt = Date.now();
  await server.stop({ deadlineMs: 200 });
  t.true(Date.now() - startedAt < 3000);
  t.true(['UNAVAILABLE', 'CANCELLED', 'INTERNAL'].includes((await call).code));
});

test('health says NOT_SERVING until the agent serves, for the server and each service', async (t) => {
  const { server, socket } = await startApi(t);
  const Health = grpc.makeGenericClientConstructor(healthDefinition as never, 'Health');
  const health = new Health(`unix:${socket}`, grpc.credentials.createInsecure());
  t.teardown(() => health.close());
  const check = (service: string) =>
    new Promise((resolve) => {
      health['check']!({ service }, (error: grpc.ServiceError | null, answer: { status: string } | undefined) =>
        resolve(error === null ? answer!.status : grpc.status[error.code]),
      );
    });
  t.is(await check(''), 'NOT_SERVING');
  server.setServing(true);
  t.is(await check(''), 'SERVING');
  t.is(await check('spillway.v1.StatusService'), 'SERVING');
  t.is(await check('no.such.Service'), 'NOT_FOUND');
});

async function startTls(t: ExecutionContext) {
  const folder = temporaryFolder(t);
  makeCertificates(folder);
  const file = (name: string) => path.join(folder, name);
  const tcp = {
    host: '127.0.0.1',
    port: 0,
    certificate: file('server.crt'),
    key: file('server.key'),
    clientCa: file('ca.crt'),
  };
  const { server } = await startApi(t, { listen: { unix: null, tcp } });
  return { target: server.targets[0]!, file, tcp };
}

test('TCP wants a certificate of the configured authority from each client', async (t) => {
  const { target, file } = await startTls(t);
  const attempt = async (name: string) => {
    const tls = { ca: file('ca.crt'), certificate: file(`${name}.crt`), key: file(`${name}.key`) };
    const client = connect(target, { tls, timeoutMs: 5000 });
    try {
      return (await client.config.get()).version;
    } finally {
      client.close();
    }
  };
  t.is(await attempt('client'), 0n);
  t.is((await refused(t, attempt('stranger'))).code, 'UNAVAILABLE');
  const plain = connect(target, { timeoutMs: 5000 });
  t.is((await refused(t, plain.config.get())).code, 'UNAVAILABLE');
  plain.close();
});

test('a client compares the name in the certificate with the one it expects', async (t) => {
  const { target, file } = await startTls(t);
  const files = { ca: file('ca.crt'), certificate: file('client.crt'), key: file('client.key') };
  for (const [serverName, expected] of [
    ['localhost', 'OK'],
    ['lb2.example', 'UNAVAILABLE'],
  ] as const) {
    const client = connect(target, { tls: { ...files, serverName }, timeoutMs: 5000 });
    const code = await client.config.get().then(
      () => 'OK',
      ({ code }: { code: string }) => code,
    );
    t.is(code, expected, serverName);
    client.close();
  }
});

test('a client does not speak to a server of another authority', async (t) => {
  const { target, file } = await startTls(t);
  const tls = { ca: file('stranger-ca.crt'), certificate: file('client.crt'), key: file('client.key') };
  const client = connect(target, { tls, timeoutMs: 5000 });
  t.is((await refused(t, client.config.get())).code, 'UNAVAILABLE');
  client.close();
});

test('a certificate file that is missing or no certificate is refused with its field', async (t) => {
  const { file, tcp } = await startTls(t);
  const start = (change: object) =>
    createServer({ agent: new FakeAgent(), listen: { unix: null, tcp: { ...tcp, ...change } } });
  const missing = await t.throwsAsync(start({ key: file('none.key') }), { instanceOf: InvalidError });
  t.regex(missing!.message, /^listen\.tcp\.key: .*none\.key cannot be read: ENOENT/);
  const wrong = await t.throwsAsync(start({ certificate: file('san') }), { instanceOf: InvalidError });
  t.regex(wrong!.message, /^listen\.tcp\.certificate: .* is no PEM file/);
  await t.throwsAsync(start({ key: file('client.key') }), { instanceOf: InvalidError, message: /listen\.tcp/ });
});

test('a taken TCP port is said so', async (t) => {
  const { tcp } = await startTls(t);
  const other = createTcpServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  await t.throwsAsync(createServer({ agent: new FakeAgent(), listen: { unix: null, tcp: { ...tcp, port } } }), {
    instanceOf: UnavailableError,
    message: new RegExp(`cannot listen on 127.0.0.1:${port}`),
  });
});
