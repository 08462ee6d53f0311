/** PeerService against those who mean harm: garbage, recorded connections played again, calls that make no sense. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { methodsOf } from '../../../src/api/services.js';
import { peerHandlers } from '../../../src/sync/handlers.js';
import { keyOf } from '../../../src/sync/keys.js';
import type { PeerHandlers } from '../../../src/sync/ports.js';
import { newNonce, signToken } from '../../../src/sync/token.js';
import { grpcTransfer } from '../../../src/sync/transfer/grpc.js';
import { until } from '../../support/lab/until.js';
import { Random } from '../../support/random.js';
import { MemoryTable } from '../../support/sync/memory_table.js';

const key = keyOf(new Uint8Array(32).fill(1));
const transfer = grpcTransfer({ tls: null, random: randomBytes, wallMs: Date.now });
const own = { node: 5, boot: 50n, keys: () => [key] };
const peer = { node: 7, boot: 70n, keys: () => [key] };
const methods = methodsOf('PeerService');
const raw = (bytes: Buffer): Buffer => bytes;

/** A server with 1,000 sessions that counts what it is made to do. */
async function target(t: ExecutionContext) {
  const table = new MemoryTable().fill(1000);
  const did = { digest: 0, fetch: 0, purge: 0 };
  const handlers = peerHandlers({ table, boot: own.boot, purge: async () => table.sessions.size });
  const counting: PeerHandlers = {
    digest(ranges) {
      did.digest++;
      return handlers.digest(ranges);
    },
    fetch(request, signal) {
      did.fetch++;
      return handlers.fetch(request, signal);
    },
    purge(filter) {
      did.purge++;
      return handlers.purge(filter);
    },
  };
  const server = await transfer.serve(counting, { address: '127.0.0.1', port: 0, identity: own });
  t.teardown(() => server.close());
  const to = (port: number) => transfer.connect({ name: 'lb2', address: '127.0.0.1', port, boot: own.boot }, peer);
  /** A peer is served as ever. */
  const serves = async (): Promise<void> => {
    const client = to(server.port);
    const { counts } = await client.digest(16);
    t.is(
      Array.from(counts).reduce((sum, count) => sum + count),
      1000,
    );
    client.close();
    did.digest--;
  };
  return { port: server.port, did, to, serves };
}

/** What a peer sends on one connection: a digest and a purge, recorded on their way. */
async function recorded({ port, to }: { port: number; to: (port: number) => ReturnType<typeof transfer.connect> }) {
  const chunks: Buffer[] = [];
  const sockets: Socket[] = [];
  const proxy = createServer((socket) => {
    const upstream = connect(port, '127.0.0.1');
    sockets.push(socket, upstream);
    for (const one of [socket, upstream]) one.on('error', () => {});
    socket.on('data', (data) => chunks.push(data)).pipe(upstream);
    upstream.pipe(socket);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const client = to((proxy.address() as AddressInfo).port);
  await client.digest(16);
  await client.purge(Buffer.from('all'));
  client.close();
  for (const socket of sockets) socket.destroy();
  proxy.close();
  return Buffer.concat(chunks);
}

/** Sends the bytes on a connection of their own; resolves with the answer's bytes once it is over, or silent for so long. */
async function play(port: number, bytes: Uint8Array, silentMs = 50): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  const answer: Buffer[] = [];
  socket.on('data', (data) => answer.push(data));
  socket.on('error', () => {});
  socket.setTimeout(silentMs, () => socket.destroy());
  socket.end(bytes);
  await once(socket, 'close').catch(() => {});
  return Buffer.concat(answer);
}

test('a recorded connection that is played again is refused, and does nothing twice', async (t) => {
  const { port, did, to, serves } = await target(t);
  const bytes = await recorded({ port, to });
  t.deepEqual(did, { digest: 1, fetch: 0, purge: 1 });
  t.true(bytes.includes('PRI * HTTP/2.0'), 'it is the whole connection');
  for (let i = 0; i < 20; i++) t.true((await play(port, bytes, 5000)).length > 0, 'it was understood');
  t.deepEqual(did, { digest: 1, fetch: 0, purge: 1 });
  await serves();
});

test('2,000 connections of garbage, of HTTP/2 torn, flipped and shuffled, do nothing, and peers are served', async (t) => {
  t.timeout(60_000);
  const { port, did, to, serves } = await target(t);
  const whole = await recorded({ port, to });
  const preface = whole.subarray(0, 24);
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const garbage = (): Uint8Array => {
    const noise = random.bytes(random.below(600));
    const flipped = Buffer.from(whole);
    for (let i = 0; i <= random.below(8); i++) flipped[24 + random.below(whole.length - 24)]! ^= 1 << random.below(8);
    switch (random.below(5)) {
      case 0:
        return noise;
      case 1:
        return Buffer.concat([preface, noise]);
      case 2:
        return whole.subarray(0, random.below(whole.length));
      case 3:
        return flipped;
      default: {
        const at = 24 + random.below(whole.length - 24);
        return Buffer.concat([whole.subarray(0, at), noise, whole.subarray(at)]);
      }
    }
  };
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 100 }, () => play(port, garbage())));
    await serves();
  }
  t.deepEqual(did, { digest: 1, fetch: 0, purge: 1 });
});

interface Call {
  readonly method: (typeof methods)[keyof typeof methods];
  readonly message: Uint8Array;
  readonly token?: string;
}

function call(client: grpc.Client, { method, message, token }: Call): Promise<grpc.status> {
  const metadata = new grpc.Metadata();
  if (token !== undefined) metadata.set('spillway-token', token);
  const stream = client.makeServerStreamRequest(method.path, raw, raw, Buffer.from(message), metadata, {
    deadline: Date.now() + 10_000,
  });
  stream.on('data', () => {});
  return new Promise((resolve) => {
    stream.on('error', ({ code }: grpc.ServiceError) => resolve(code));
    stream.on('end', () => resolve(grpc.status.OK));
  });
}

function open(t: ExecutionContext, port: number): grpc.Client {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_send_message_length': -1,
  });
  t.teardown(() => client.close());
  return client;
}

function tokenFor(method: Call['method'], request: Uint8Array): string {
  const claims = { node: peer.node, boot: own.boot, atMs: Date.now(), nonce: newNonce(randomBytes) };
  return signToken(claims, { method: method.path, request }, key);
}

test('2,000 calls with tokens that are none, damaged, or of other calls get nothing', async (t) => {
  t.timeout(60_000);
  const { port, did, serves } = await target(t);
  const client = open(t, port);
  const random = new Random();
  t.log(`seed ${random.seed}`);
  const all = [methods.digest, methods.fetch, methods.purge];
  const codes = new Map<grpc.status, number>();
  for (let round = 0; round < 20; round++) {
    const calls = Array.from({ length: 100 }, () => {
      const method = all[random.below(3)]!;
      const message = randomBytes(random.below(200));
      const good = tokenFor(method, message);
      const at = random.below(good.length);
      const tokens = [
        undefined,
        randomBytes(50).toString('hex'),
        good.slice(0, at),
        `${good.slice(0, at)}${good[at] === '0' ? '1' : '0'}${good.slice(at + 1)}`,
        tokenFor(all[(all.indexOf(method) + 1) % 3]!, message),
        tokenFor(method, Buffer.concat([message, Buffer.of(0)])),
        signToken(
          { node: peer.node, boot: own.boot + 1n, atMs: Date.now(), nonce: newNonce(randomBytes) },
          { method: method.path, request: message },
          key,
        ),
      ];
      const token = tokens[random.below(tokens.length)];
      return call(client, token === undefined ? { method, message } : { method, message, token });
    });
    for (const code of await Promise.all(calls)) codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  t.deepEqual([...codes], [[grpc.status.UNAUTHENTICATED, 2000]]);
  t.deepEqual(did, { digest: 0, fetch: 0, purge: 0 });
  await serves();
});

test('a peer that holds the key and asks nonsense is told so, and costs no memory', async (t) => {
  const { port, serves } = await target(t);
  const client = open(t, port);
  const ask = (method: Call['method'], message: Uint8Array): Promise<grpc.status> =>
    call(client, { method, message, token: tokenFor(method, message) });
  const fetch = (request: Parameters<typeof methods.fetch.request.encode>[0]) =>
    ask(methods.fetch, methods.fetch.request.encode(request));
  const before = process.memoryUsage().rss;
  for (const ranges of [3, 65_537, 131_072, 0xffff_ffff]) {
    t.is(
      await ask(methods.digest, methods.digest.request.encode({ ranges })),
      grpc.status.INVALID_ARGUMENT,
      `${ranges}`,
    );
    t.is(await fetch({ cursor: 0n, bootId: 0n, ranges, wanted: [0, 1] }), grpc.status.INVALID_ARGUMENT, `${ranges}`);
  }
  t.is(await fetch({ cursor: 0xffff_ffff_ffff_ffffn, bootId: own.boot, ranges: 0, wanted: [] }), grpc.status.OK);
  for (const method of [methods.digest, methods.fetch, methods.purge]) {
    t.is(await ask(method, Buffer.from('ffffffffffffffffffff', 'hex')), grpc.status.INVALID_ARGUMENT, method.path);
  }
  t.is(await ask(methods.purge, Buffer.alloc(9 << 20)), grpc.status.RESOURCE_EXHAUSTED, 'a message of 9 MiB');
  await until('memory is as it was', () => process.memoryUsage().rss < before + (128 << 20));
  await serves();
});
