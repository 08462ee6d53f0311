import grpc from '@grpc/grpc-js';
import test from 'ava';
import * as errors from '../../../src/base/errors.js';
import { refused, sample, startApi } from './harness.js';

const table = [
  {
    error: new errors.InvalidError([{ field: 'a.b', description: 'wrong' }]),
    code: 'INVALID_ARGUMENT',
    message: 'a.b: wrong',
  },
  { error: new errors.NotFoundError('listener', 'x'), code: 'NOT_FOUND', info: { kind: 'listener', resource: 'x' } },
  {
    error: new errors.AlreadyExistsError('listener', 'x'),
    code: 'ALREADY_EXISTS',
    info: { kind: 'listener', resource: 'x' },
  },
  { error: new errors.PreconditionError('first the other'), code: 'FAILED_PRECONDITION', message: 'first the other' },
  {
    error: new errors.CapacityError('limits.backends', 64, 65),
    code: 'RESOURCE_EXHAUSTED',
    info: { setting: 'limits.backends', limit: '64', wanted: '65' },
  },
  { error: new errors.UnavailableError('disk full'), code: 'UNAVAILABLE', message: 'disk full', info: {} },
] as const;

for (const { error, code, ...expected } of table) {
  test(`${error.name} is answered with ${code}`, async (t) => {
    const { client, agent, faults } = await startApi(t);
    agent.failWith = error;
    const answer = await refused(t, client.config.apply({ config: sample }));
    t.is(answer.code, code);
    if ('message' in expected) t.is(answer.message, expected.message);
    t.deepEqual(answer.details.info?.metadata, 'info' in expected ? expected.info : undefined);
    t.deepEqual(faults, []);
  });
}

test('an error that nobody foresaw is INTERNAL, and goes to the log with its stack', async (t) => {
  const { client, agent, faults } = await startApi(t);
  agent.failWith = new TypeError('x is not a function');
  const answer = await refused(t, client.status.get());
  t.is(answer.code, 'INTERNAL');
  t.is(answer.message, 'a fault of the agent, see its log: x is not a function');
  t.true(faults[0] instanceof TypeError);
});

test('a stream is refused like a call', async (t) => {
  const { client, agent } = await startApi(t);
  agent.failWith = new errors.UnavailableError('not yet');
  const answer = await refused(
    t,
    (async () => {
      for await (const _ of client.config.watch()) t.fail('no message is expected');
    })(),
  );
  t.is(answer.code, 'UNAVAILABLE');
  t.is(answer.message, 'not yet');
});

function send(socket: string, path: string, bytes: Buffer): Promise<grpc.ServiceError | null> {
  const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
  });
  return new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest(
      path,
      (message: Buffer) => message,
      (answer) => answer,
      bytes,
      (error) => {
        client.close();
        resolve(error);
      },
    );
  });
}

test('bytes that are no message are INVALID_ARGUMENT, not a fault', async (t) => {
  const { socket, agent, faults } = await startApi(t);
  const error = await send(socket, '/spillway.v1.ConfigService/Apply', Buffer.from('0affffffff', 'hex'));
  t.is(error?.code, grpc.status.INVALID_ARGUMENT);
  t.regex(error!.details, /the bytes are no such message/);
  t.is(agent.applies, 0);
  t.deepEqual(faults, []);
});

test('a message above 64 MiB is refused with both sizes, and the server goes on', async (t) => {
  const { socket, client } = await startApi(t);
  const error = await send(socket, '/spillway.v1.ConfigService/Apply', Buffer.alloc(65 * 1024 * 1024));
  t.is(error?.code, grpc.status.RESOURCE_EXHAUSTED);
  t.regex(error!.details, /larger than max.*67108864/);
  t.is((await client.config.get()).version, 0n);
});

test('a number of a later version is refused by name, not taken for the default', async (t) => {
  const { socket } = await startApi(t);
  // Config{backend_groups: [{name: "g", forwarding: 9}]}
  const error = await send(socket, '/spillway.v1.ConfigService/Apply', Buffer.from('0a0712050a01671009', 'hex'));
  t.is(error?.details, 'backendGroups[0].forwarding: 9 is unknown to this version: L2_DSR, IPIP or GUE is expected');
});

test('a field of a later version is refused, not dropped: it may be an access list', async (t) => {
  const { socket, agent } = await startApi(t);
  // Config{backend_groups: [{name: "g", 15: 1}]}
  const error = await send(socket, '/spillway.v1.ConfigService/Apply', Buffer.from('0a0712050a01677801', 'hex'));
  t.is(
    error?.details,
    'config.backendGroups[0]: field number 15 is unknown to this version of the agent: leave it out, or upgrade',
  );
  t.is(agent.applies, 0);
});

test('a document with an access list of 100,000 entries passes, there and back', async (t) => {
  const { client } = await startApi(t);
  const entries = Array.from(
    { length: 100_000 },
    (_, i) => `2001:db8:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::/64`,
  );
  t.like(await client.config.apply({ config: { accessLists: [{ name: 'big', entries }] } }), { changed: true });
  t.is((await client.config.get()).config!.accessLists[0]!.entries.length, 100_000);
  const updated = await client.config.updateAccessList({ accessList: { name: 'big', entries: entries.slice(1) } });
  t.is(updated.entries.length, 99_999);
});

test('a document of 1,000 listeners with 50 backends each passes, there and back', async (t) => {
  const { client } = await startApi(t);
  const loadBalancers = Array.from({ length: 32 }, (_, place) => ({
    name: `lb${place}`,
    addresses: [`192.0.2.${place}`],
    listeners: Array.from({ length: 32 }, (_, index) => place * 32 + index)
      .filter((number) => number < 1000)
      .map((number) => ({ protocol: 'TCP' as const, port: 1000 + number, backendGroup: `g${number}` })),
  }));
  const backendGroups = Array.from({ length: 1000 }, (_, number) => ({
    name: `g${number}`,
    forwarding: 'IPIP' as const,
    backends: Array.from({ length: 50 }, (_, index) => ({ address: `10.${number >> 8}.${number & 255}.${index + 1}` })),
  }));
  t.like(await client.config.apply({ config: { loadBalancers, backendGroups } }), { version: 1n, changed: true });
  t.is(
    (await client.config.updateBackend({ backendGroup: 'g999', backend: { name: '10.3.231.50', weight: 0 } })).weight,
    0,
  );
  const { config } = await client.config.get();
  t.is(config!.backendGroups.length, 1000);
  t.is(config!.backendGroups[999]!.backends[49]!.weight, 0);
});
