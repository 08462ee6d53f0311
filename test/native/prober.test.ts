import { readdirSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { nativeError, runChild, waitUntil } from './fixture.js';
import { Bench, closedPort, LOOPBACK6, request, serve, serveUdp } from './probe-fixture.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | null) => (data === null ? null : new TextDecoder().decode(data));

test('a port that accepts is a success, closed with FIN and not with RST', async (t) => {
  const seen: string[] = [];
  const port = await serve(t, (socket) => {
    socket.on('error', (error) => seen.push(error.message));
    socket.on('end', () => {
      seen.push('FIN');
      socket.end();
    });
    socket.resume();
  });
  const result = await new Bench(t).probe(port);
  t.like(result, { error: null, data: null, fd: -1 });
  t.true(result.elapsedUs > 0 && result.elapsedUs < 5_000_000);
  await waitUntil(() => seen.length > 0, 'the end of the connection');
  t.deepEqual(seen, ['FIN']);
});

test('a server that greets before it is closed on sees FIN as well', async (t) => {
  const seen: string[] = [];
  const port = await serve(t, (socket) => {
    socket.on('error', (error) => seen.push(error.message));
    socket.on('end', () => {
      seen.push('FIN');
      socket.end('bye');
    });
    socket.resume();
    socket.write('220 hello\r\n'.repeat(1000));
  });
  t.is((await new Bench(t).probe(port)).error, null);
  await waitUntil(() => seen.length > 0, 'the end of the connection');
  t.deepEqual(seen, ['FIN']);
});

test('IPv6 is probed like IPv4', async (t) => {
  const port = await serve(t, (socket) => socket.end(), '::1');
  t.is((await new Bench(t).probe(port, { address: LOOPBACK6 })).error, null);
  t.is((await new Bench(t).probe(await closedPort(), { address: LOOPBACK6 })).error, 'ECONNREFUSED');
});

test('a closed port is refused at once', async (t) => {
  const port = await closedPort();
  const bench = new Bench(t);
  const result = await bench.probe(port);
  t.is(result.error, 'ECONNREFUSED');
  t.true(result.elapsedUs < 1_000_000);
  t.is((await bench.probe(port, { kind: 'udp', receive: 10 })).error, 'ECONNREFUSED');
  t.is((await bench.probe(port, { kind: 'udp', send: bytes('x') })).error, 'ECONNREFUSED');
});

test('a server that does not accept runs into the timeout', async (t) => {
  // The worker listens with the shortest queue and then sleeps for good: connections beyond the queue get no answer.
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer();
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  t.teardown(() => worker.terminate());
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const queued = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  t.teardown(() => {
    for (const socket of queued) socket.destroy();
  });
  const bench = new Bench(t);
  await waitUntil(() => queued.filter((socket) => !socket.connecting).length === 2, 'a full queue');
  const result = await bench.probe(port, { timeoutMs: 100 });
  t.is(result.error, 'ETIMEDOUT');
  t.true(result.elapsedUs >= 100_000 && result.elapsedUs < 1_000_000, `${result.elapsedUs} us`);
});

test('a connection that is reset while a reply is awaited says so', async (t) => {
  const port = await serve(t, (socket) => socket.resetAndDestroy());
  t.is((await new Bench(t).probe(port, { receive: 100 })).error, 'ECONNRESET');
});

test('a request is sent and the reply read to its end, to a length, or to a mark', async (t) => {
  const port = await serve(t, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      socket.write(`HTTP/1.1 200 OK\r\nX: ${data.toString().split(' ')[1]}\r\n`);
      setImmediate(() => socket.end('\r\nbody'));
    });
  });
  const bench = new Bench(t);
  const send = bytes('GET /health HTTP/1.1\r\n\r\n');
  const whole = 'HTTP/1.1 200 OK\r\nX: /health\r\n\r\nbody';
  t.is(text((await bench.probe(port, { send, receive: 10_000 })).data), whole);
  t.is(text((await bench.probe(port, { send, receive: 12 })).data), 'HTTP/1.1 200');
  const upTo = text((await bench.probe(port, { send, receive: 10_000, until: bytes('\r\n\r\n') })).data);
  t.true(upTo === whole || upTo === whole.slice(0, -4), `${upTo}`);
});

test('a mark is found across the pieces in which it came', async (t) => {
  const port = await serve(t, (socket) => {
    socket.setNoDelay(true);
    const pieces = [...'abc\r\n\r'];
    const next = () => {
      const piece = pieces.shift();
      if (piece === undefined) socket.write('\nand this connection stays open');
      else socket.write(piece, () => setImmediate(next));
    };
    next();
  });
  const result = await new Bench(t).probe(port, { receive: 1000, until: bytes('\r\n\r\n') });
  t.is(result.error, null);
  t.true(text(result.data)?.startsWith('abc\r\n\r\n'));
});

test('a reply that never comes is a timeout, and what came is told', async (t) => {
  const port = await serve(t, (socket) => void socket.write('half'));
  const result = await new Bench(t).probe(port, { receive: 100, timeoutMs: 200 });
  t.is(result.error, 'ETIMEDOUT');
  t.is(text(result.data), 'half');
});

test('a large request goes out whole to a slow reader', async (t) => {
  let length = 0;
  const port = await serve(t, (socket) => {
    socket.on('data', (data) => {
      length += data.length;
    });
    socket.on('end', () => socket.end());
  });
  const result = await new Bench(t).probe(port, { send: new Uint8Array(5_000_000).fill(65) });
  t.is(result.error, null);
  await waitUntil(() => length === 5_000_000, 'the whole request');
});

test('udp: the reply is the result, silence is a timeout only where a reply is awaited', async (t) => {
  const echo = await serveUdp(t, (message) => `re: ${message}`);
  const silent = await serveUdp(t, () => null);
  const bench = new Bench(t);
  t.is(text((await bench.probe(echo, { kind: 'udp', send: bytes('ping'), receive: 100 })).data), 're: ping');
  t.is(text((await bench.probe(echo, { kind: 'udp', receive: 3 })).data), 're:');
  t.like(await bench.probe(echo, { kind: 'udp' }), { error: null, data: null });
  const expected = await bench.probe(silent, { kind: 'udp', receive: 100, timeoutMs: 100 });
  t.is(expected.error, 'ETIMEDOUT');
  const none = await bench.probe(silent, { kind: 'udp', timeoutMs: 100 });
  t.is(none.error, null);
  t.true(none.elapsedUs >= 100_000);
});

test('a socket that is handed over is connected and belongs to the caller', async (t) => {
  const port = await serve(t, (socket) => socket.on('data', (data) => socket.end(`got ${data}`)));
  const bench = new Bench(t);
  const { fd, error } = await bench.probe(port, { handOver: true });
  t.is(error, null);
  t.true(fd > 2);
  bench.prober.close();
  const socket = new Socket({ fd });
  socket.end('this');
  let reply = '';
  for await (const chunk of socket) reply += chunk;
  t.is(reply, 'got this');
  const refused = await new Bench(t).probe(await closedPort(), { handOver: true });
  t.like(refused, { error: 'ECONNREFUSED', fd: -1 });
});

test('a probe that was cancelled has no result, and its id may be used again', async (t) => {
  const port = await serve(t, (socket) => void socket.on('error', () => {}));
  const bench = new Bench(t);
  bench.prober.start([request(1, port, { receive: 10 }), request(2, port)]);
  t.is(nativeError(t, () => bench.prober.start([request(1, port)])).code, 'ERR_ARG');
  bench.prober.cancel([1, 999]);
  bench.prober.start([request(1, port, { timeoutMs: 4000 })]);
  t.is((await bench.result(1)).error, null);
  t.is((await bench.result(2)).error, null);
  t.is(bench.results.length, 2);
});

test.serial('a thousand probes at once each get one result, and no descriptor is left', async (t) => {
  const open = await serve(t, (socket) => {
    socket.on('end', () => socket.end());
    socket.resume();
  });
  const closed = await closedPort();
  const udp = await serveUdp(t, () => 'yes');
  const bench = new Bench(t);
  await bench.probe(closed);
  const before = readdirSync('/proc/self/fd').length;
  const requests = Array.from({ length: 1000 }, (_, index) => {
    const id = 1000 + index;
    if (index % 10 < 4) return request(id, closed);
    return index % 10 < 9 ? request(id, open) : request(id, udp, { kind: 'udp', receive: 10 });
  });
  bench.prober.start(requests);
  for (const { id } of requests) await bench.result(id);
  for (const { id, error } of bench.results.filter((each) => each.id >= 1000))
    t.is(error, id % 10 < 4 ? 'ECONNREFUSED' : null, `probe ${id}`);
  t.is(bench.results.length, 1001);
  await waitUntil(() => readdirSync('/proc/self/fd').length <= before, 'as many descriptors as before');
});

test('wrong requests are refused as a whole', async (t) => {
  const port = await serve(t, (socket) => socket.end());
  const bench = new Bench(t);
  const wrong = [
    { kind: 'icmp' },
    { address: new Uint8Array(5) },
    { port: 0 },
    { timeoutMs: 0 },
    { mark: -1 },
    { send: 'x' },
    { receive: -1 },
    { until: 5 },
    { handOver: 1 },
  ];
  for (const options of wrong) {
    const requests = [request(1, port), { ...request(2, port), ...options }];
    t.is(nativeError(t, () => bench.prober.start(requests as never)).code, 'ERR_ARG', JSON.stringify(options));
  }
  t.is(nativeError(t, () => bench.prober.start([request(3, port), request(3, port)])).code, 'ERR_ARG');
  t.is((await bench.probe(port)).error, null);
  t.is(bench.results.length, 1);
  bench.prober.close();
  bench.prober.close();
  t.is(nativeError(t, () => bench.prober.start([request(1, port)])).code, 'ERR_CLOSED');
  t.is(nativeError(t, () => bench.prober.cancel([1])).code, 'ERR_CLOSED');
});

test('no route, an unreachable host and too many open files have their names', async (t) => {
  const unreachable = { tcp: 'EHOSTUNREACH', udp: 'EHOSTUNREACH', noRoute: 'ENETUNREACH', manyFiles: 'EMFILE' };
  t.deepEqual(await runChild('probe-errors', { ownNetwork: true }), unreachable);
});
