/** The transfer of tables between nodes over real sockets: what breaks goes on, and a stranger gets and gives nothing. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { methodsOf } from '../../../src/api/services.js';
import { InvalidError, UnavailableError } from '../../../src/base/errors.js';
import { fetchSessions } from '../../../src/sync/fetch.js';
import { peerHandlers } from '../../../src/sync/handlers.js';
import { keyOf } from '../../../src/sync/keys.js';
import type { PeerClient, TransferPort } from '../../../src/sync/ports.js';
import { TransferError } from '../../../src/sync/ports.js';
import { systemClock } from '../../../src/sync/system.js';
import { withProof } from '../../../src/sync/token.js';
import { grpcTransfer } from '../../../src/sync/transfer/grpc.js';
import { makeCertificates } from '../../support/certificates.js';
import { until } from '../../support/lab/until.js';
import { MemoryTable } from '../../support/sync/memory_table.js';
import { cuttingProxy } from './cutting_proxy.js';

const key = keyOf(new Uint8Array(32).fill(1));
const otherKey = keyOf(new Uint8Array(32).fill(2));
const plain = () => grpcTransfer({ tls: null, random: randomBytes, wallMs: Date.now });
const identity = { node: 7, boot: 70n, keys: () => [key] };
const none = new AbortController().signal;

interface Started {
  readonly transfer?: TransferPort;
  readonly keys?: (typeof key)[];
  readonly purge?: (filter: Uint8Array) => Promise<number>;
}

async function serve(
  t: ExecutionContext,
  table: MemoryTable,
  { transfer = plain(), keys = [key], purge }: Started = {},
) {
  const handlers = peerHandlers({ table, boot: 50n, purge: purge ?? (async () => 0) });
  const server = await transfer.serve(handlers, {
    ...{ address: '127.0.0.1', port: 0 },
    identity: { node: 5, boot: 50n, keys: () => keys },
  });
  t.teardown(() => server.close());
  return server;
}

function client(t: ExecutionContext, port: number, { transfer = plain(), keys = [key] }: Started = {}): PeerClient {
  const peer = transfer.connect(
    { name: 'lb2', address: '127.0.0.1', port, boot: 50n },
    { ...identity, keys: () => keys },
  );
  t.teardown(() => peer.close());
  return peer;
}

const fetchAll = (peer: PeerClient, table: MemoryTable) =>
  fetchSessions({ client: peer, table, clock: systemClock, origin: 1, ranges: 0, wanted: null, signal: none });

test('a table comes over whole, in chunks, with its number of sessions told from the start', async (t) => {
  const source = new MemoryTable().fill(45_000);
  const table = new MemoryTable();
  const progress: number[] = [];
  const { port } = await serve(t, source);
  const fetched = await fetchSessions({
    ...{ client: client(t, port), table, clock: systemClock, origin: 1, ranges: 0, wanted: null, signal: none },
    onProgress: ({ records, expected }) => {
      progress.push(records);
      t.is(expected, 45_000);
    },
  });
  t.deepEqual(fetched, { records: 45_000, applied: 45_000, stale: 0, unknown: 0, noRoom: 0 });
  t.deepEqual(progress, [10_000, 20_000, 30_000, 40_000, 45_000]);
  t.deepEqual(table.sessions, source.sessions);
});

test('of some ranges alone, and of an empty table', async (t) => {
  const source = new MemoryTable().fill(30_000);
  const table = new MemoryTable();
  const { port } = await serve(t, source);
  const peer = client(t, port);
  const wanted = [0, 3, 4095];
  const { records } = await fetchSessions({
    client: peer,
    table,
    clock: systemClock,
    origin: 1,
    ranges: 4096,
    wanted,
    signal: none,
  });
  const expected = [...source.sessions].filter(([tag]) => wanted.includes(Number(tag >> 52n)));
  t.true(expected.length > 5);
  t.deepEqual(table.sessions, new Map(expected));
  t.is(records, expected.length);
  source.sessions.clear();
  t.is((await fetchAll(peer, table)).records, 0);
});

test('digests and purges are answered', async (t) => {
  const source = new MemoryTable().fill(1000);
  const purged: Uint8Array[] = [];
  const { port } = await serve(t, source, {
    purge: async (filter) => {
      purged.push(filter);
      return 42;
    },
  });
  const peer = client(t, port);
  const { boot, counts, sums } = await peer.digest(16);
  t.is(boot, 50n);
  const own = await source.digest(16);
  t.deepEqual([Array.from(counts), Array.from(sums)], [Array.from(own.counts), Array.from(own.sums)]);
  t.is(await peer.purge(Buffer.from('filter')), 42);
  t.deepEqual(
    purged.map((bytes) => Buffer.from(bytes).toString()),
    ['filter'],
  );
  await t.throwsAsync(peer.digest(3), { instanceOf: TransferError, message: /ranges 3: a power of two/ });
});

test('a transfer that breaks three times goes on where it was', async (t) => {
  const source = new MemoryTable().fill(100_000);
  const table = new MemoryTable();
  const { port } = await serve(t, source);
  const proxy = await cuttingProxy({ port }, { bytes: 900_000, times: 3 });
  t.teardown(() => proxy.close());
  const fetched = await fetchAll(client(t, proxy.port), table);
  t.is(proxy.cuts(), 3);
  t.deepEqual(table.sessions, source.sessions);
  t.true(fetched.records < 150_000, `${fetched.records} records: what was merged is not fetched again`);
});

test('one that breaks for ever ends with an error that says of whom', async (t) => {
  const { port } = await serve(t, new MemoryTable().fill(100_000));
  const proxy = await cuttingProxy({ port }, { bytes: 1000, times: 1000 });
  t.teardown(() => proxy.close());
  await t.throwsAsync(fetchAll(client(t, proxy.port), new MemoryTable()), {
    instanceOf: TransferError,
    message: /^lb2/,
  });
});

test('of a peer that started anew in between, the table is fetched from the start', async (t) => {
  const source = new MemoryTable().fill(50_000);
  const { port } = await serve(t, source);
  const peer = client(t, port);
  const seen: bigint[] = [];
  for await (const { records } of peer.fetch({ cursor: 40_000n, boot: 50n, ranges: 0, wanted: null }, none))
    seen.push(BigInt(records.length));
  t.is(seen.length, 1);
  seen.length = 0;
  for await (const { records } of peer.fetch({ cursor: 40_000n, boot: 49n, ranges: 0, wanted: null }, none))
    seen.push(BigInt(records.length));
  t.is(seen.length, 5);
});

test('a third fetch at once is refused, and served when another has ended', async (t) => {
  const { records } = await new MemoryTable().fill(10).export({ cursor: 0, limit: 10, ranges: 1, wanted: null });
  const gone: string[] = [];
  const handlers = {
    ...peerHandlers({ table: new MemoryTable(), boot: 50n, purge: async () => 0 }),
    /** A chunk, and then nothing more until the peer goes away. */
    async *fetch(_: unknown, signal: AbortSignal) {
      yield { boot: 50n, cursor: 10n, records, expected: 20 };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      gone.push('one');
    },
  };
  const identityOfServer = { node: 5, boot: 50n, keys: () => [key] };
  const server = await plain().serve(handlers, { address: '127.0.0.1', port: 0, identity: identityOfServer });
  t.teardown(() => server.close());
  const begin = () =>
    client(t, server.port).fetch({ cursor: 0n, boot: 0n, ranges: 0, wanted: null }, none)[Symbol.asyncIterator]();
  const streams = [begin(), begin()];
  for (const stream of streams) t.is((await stream.next()).value?.cursor, 10n);
  const third = await t.throwsAsync(begin().next(), {
    instanceOf: TransferError,
    message: /2 nodes fetch sessions already/,
  });
  t.true((third as TransferError).again);
  await streams[0]!.return?.(undefined);
  await until('the third is served', async () => (await begin().next()).value?.cursor === 10n);
  t.deepEqual(gone, ['one']);
});

test('a caller without a token, or with one of another key, gets nothing', async (t) => {
  const { port } = await serve(t, new MemoryTable().fill(10));
  await t.throwsAsync(client(t, port, { keys: [otherKey] }).digest(1), {
    message: /key [0-9a-f]{8} is not among this node's sync keys/,
  });
  await t.throwsAsync(fetchAll(client(t, port, { keys: [otherKey] }), new MemoryTable()), {
    message: /not among this node's sync keys/,
  });
  const stranger = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  t.teardown(() => stranger.close());
  const raw = (bytes: Buffer) => bytes;
  const error = await t.throwsAsync(
    new Promise((resolve, reject) => {
      const path = '/spillway.v1.PeerService/Purge';
      stranger.makeUnaryRequest(path, raw, raw, Buffer.alloc(0), (failure, answer) =>
        failure ? reject(failure) : resolve(answer),
      );
    }),
  );
  t.is((error as grpc.ServiceError).code, grpc.status.UNAUTHENTICATED);
  t.regex(error!.message, /no token of version 1/);
});

/** Answers every call, as one that holds `signs` would. */
async function impostor(t: ExecutionContext, signs: typeof key | null): Promise<number> {
  const raw = (bytes: Buffer) => bytes;
  const { digest, fetch } = methodsOf('PeerService');
  const prove = (call: { metadata: grpc.Metadata }, message: Uint8Array): Buffer => {
    const nonce = String(call.metadata.get('spillway-token')[0]).split(' ')[4]!;
    return signs === null ? Buffer.from(message) : withProof(message, { nonce, index: 0, key: signs });
  };
  const { records } = await new MemoryTable().fill(10).export({ cursor: 0, limit: 10, ranges: 1, wanted: null });
  const method = (path: string, responseStream: boolean) => ({
    ...{ path, requestStream: false, responseStream },
    ...{ requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw },
  });
  const server = new grpc.Server();
  server.addService(
    { digest: method(digest.path, false), fetch: method(fetch.path, true) },
    {
      digest: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
        callback(null, prove(call, digest.response.encode({ bootId: 50n, counts: [1], sums: [1n] }))),
      fetch: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
        call.write(prove(call, fetch.response.encode({ bootId: 50n, cursor: 0n, records, expected: 10n })));
        call.end();
      },
    },
  );
  t.teardown(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

test('the answers of one who does not hold the key are not taken', async (t) => {
  for (const signs of [null, otherKey]) {
    const peer = client(t, await impostor(t, signs));
    const table = new MemoryTable();
    await t.throwsAsync(peer.digest(1), { instanceOf: TransferError, message: /^lb2: its answer carries no proof/ });
    await t.throwsAsync(fetchAll(peer, table), {
      instanceOf: TransferError,
      message: /^lb2: its answer carries no proof/,
    });
    t.is(table.sessions.size, 0);
  }
  const genuine = client(t, await impostor(t, key));
  const table = new MemoryTable();
  t.is((await fetchAll(genuine, table)).records, 10);
});

test('a token whose time is off by more than a minute is refused, with the remedy', async (t) => {
  const { port } = await serve(t, new MemoryTable());
  const late = grpcTransfer({ tls: null, random: randomBytes, wallMs: () => Date.now() - 75_000 });
  const error = await t.throwsAsync(client(t, port, { transfer: late }).digest(1), {
    message: /-75 s off this node's clock: set the clocks by NTP/,
  });
  t.false((error as TransferError).again);
});

test('a taken address is said so', async (t) => {
  const { port } = await serve(t, new MemoryTable());
  const handlers = peerHandlers({ table: new MemoryTable(), boot: 1n, purge: async () => 0 });
  await t.throwsAsync(plain().serve(handlers, { address: '127.0.0.1', port, identity }), {
    instanceOf: UnavailableError,
    message: /cannot listen on 127\.0\.0\.1:\d+ for the transfer of sessions/,
  });
});

function certificates(t: ExecutionContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-transfer-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  makeCertificates(folder);
  const file = (name: string) => path.join(folder, name);
  return (name: string, ca = 'ca') =>
    grpcTransfer({
      tls: { certificate: file(`${name}.crt`), key: file(`${name}.key`), ca: file(`${ca}.crt`) },
      random: randomBytes,
      wallMs: Date.now,
    });
}

test('with mutual TLS nodes of the authority speak with each other, and nobody else gets as far as a token', async (t) => {
  const by = certificates(t);
  const source = new MemoryTable().fill(25_000);
  const table = new MemoryTable();
  const { port } = await serve(t, source, { transfer: by('server') });
  t.is((await fetchAll(client(t, port, { transfer: by('client') }), table)).records, 25_000);
  t.deepEqual(table.sessions, source.sessions);
  await t.throwsAsync(client(t, port, { transfer: by('stranger') }).digest(1), { instanceOf: TransferError });
  await t.throwsAsync(client(t, port).digest(1), { instanceOf: TransferError });
});

test('with mutual TLS a server of another authority is not asked', async (t) => {
  const by = certificates(t);
  const { port } = await serve(t, new MemoryTable(), { transfer: by('stranger', 'ca') });
  await t.throwsAsync(client(t, port, { transfer: by('client') }).digest(1), { instanceOf: TransferError });
});

test('with mutual TLS the token is needed all the same', async (t) => {
  const by = certificates(t);
  const { port } = await serve(t, new MemoryTable(), { transfer: by('server') });
  await t.throwsAsync(client(t, port, { transfer: by('client'), keys: [otherKey] }).digest(1), {
    message: /not among this node's sync keys/,
  });
});

test('certificate files that do not fit are refused by field', (t) => {
  const tls = { certificate: '/nowhere/cert.pem', key: '/nowhere/key.pem', ca: '/nowhere/ca.pem' };
  t.throws(() => grpcTransfer({ tls, random: randomBytes, wallMs: Date.now }), {
    instanceOf: InvalidError,
    message: /^sync\.tls\.certificate: \/nowhere\/cert\.pem cannot be read: ENOENT/,
  });
});
