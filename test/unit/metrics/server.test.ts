import { connect } from 'node:net';
import test from 'ava';
import { type MetricsServerOptions, startMetricsServer } from '../../../src/metrics/server.js';
import { until } from '../../support/lab/until.js';

async function* chunks(count: number, size: number): AsyncGenerator<string, void, undefined> {
  for (let i = 0; i < count; i++) yield 'x'.repeat(size);
}

async function start(t: { teardown(fn: () => Promise<void>): void }, change: Partial<MetricsServerOptions> = {}) {
  const errors: unknown[] = [];
  const server = await startMetricsServer({
    host: '127.0.0.1',
    port: 0,
    scrape: () => chunks(1, 10),
    notReady: () => [],
    onError: (error) => errors.push(error),
    ...change,
  });
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${server.port}`, port: server.port, errors, server };
}

test('/livez, /readyz and /metrics answer', async (t) => {
  const { url } = await start(t);
  t.is((await fetch(`${url}/livez`)).status, 200);
  t.is((await fetch(`${url}/readyz`)).status, 200);
  const scrape = await fetch(`${url}/metrics`);
  t.is(scrape.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.is(await scrape.text(), 'x'.repeat(10));
});

test('/readyz is 503 and says every reason', async (t) => {
  const { url } = await start(t, { notReady: () => ['eth0: not attached', 'nothing was applied yet'] });
  const answer = await fetch(`${url}/readyz`);
  t.is(answer.status, 503);
  t.is(await answer.text(), 'eth0: not attached\nnothing was applied yet\n');
});

test('other paths are 404, other methods 405', async (t) => {
  const { url } = await start(t);
  t.is((await fetch(`${url}/`)).status, 404);
  const post = await fetch(`${url}/metrics`, { method: 'POST' });
  t.is(post.status, 405);
  t.is(post.headers.get('allow'), 'GET, HEAD');
});

test('a scrape that fails at once is 500 and reported', async (t) => {
  const { url, errors } = await start(t, {
    // biome-ignore lint/correctness/useYield: it fails before its first chunk
    async *scrape() {
      throw new Error('no status');
    },
  });
  t.is((await fetch(`${url}/metrics`)).status, 500);
  t.is((errors[0] as Error).message, 'no status');
});

test('a big scrape lets other work run in between', async (t) => {
  const { url } = await start(t, { scrape: () => chunks(2000, 64 * 1024) });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const body = await (await fetch(`${url}/metrics`)).arrayBuffer();
  clearInterval(timer);
  t.is(body.byteLength, 2000 * 64 * 1024);
  t.true(turns > 3, `${turns} turns`);
});

test('readers that stall are limited to four, and leave no scrape behind when they go', async (t) => {
  let ended = 0;
  const { url, port } = await start(t, {
    async *scrape() {
      try {
        yield* chunks(10_000, 64 * 1024);
      } finally {
        ended++;
      }
    },
  });
  const stalled = await Promise.all([1, 2, 3, 4].map(() => stall(port)));
  t.is((await fetch(`${url}/metrics`)).status, 503);
  for (const socket of stalled) socket.destroy();
  await until('all four end', () => ended >= 4);
  t.is(ended, 4);
});

test('a port in use is refused with its address', async (t) => {
  const { port } = await start(t);
  const error = await t.throwsAsync<NodeJS.ErrnoException & { port: number }>(
    startMetricsServer({
      host: '127.0.0.1',
      port,
      scrape: () => chunks(0, 0),
      notReady: () => [],
      onError: () => undefined,
    }),
  );
  t.is(error?.code, 'EADDRINUSE');
  t.is(error?.port, port);
});

test('close ends open connections and may be called twice', async (t) => {
  const { port, server } = await start(t, { scrape: () => chunks(10_000, 64 * 1024) });
  const socket = await stall(port);
  const gone = new Promise((resolve) => socket.once('close', resolve).resume());
  await Promise.all([server.close(), server.close()]);
  await gone;
  t.pass();
});

/** A reader that takes the first bytes of a scrape and then nothing more. */
async function stall(port: number) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  return socket;
}
