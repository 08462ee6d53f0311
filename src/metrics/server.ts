import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { contentType } from './text.js';

export interface MetricsServerOptions {
  /** Loopback unless the operator chose otherwise: nothing here asks who calls. */
  readonly host: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly scrape: () => AsyncIterable<string>;
  /** What keeps the node from serving, in words; empty = ready. */
  readonly notReady: () => readonly string[];
  /** A scrape that failed. The client sees a broken response or 500. */
  readonly onError: (error: unknown) => void;
}

export interface MetricsServer {
  readonly host: string;
  readonly port: number;
  /** Ends open connections too. Idempotent. */
  close(): Promise<void>;
}

/** Each holds a status of its own: with 50,000 backends about 30 MB. */
const maxScrapes = 4;
/** A reader that takes nothing for so long is cut off. */
const stalledMs = 30_000;
/** How long a scrape may hold the event loop before other work gets its turn. */
const sliceMs = 4;

/**
 * GET or HEAD of /metrics, /livez and /readyz.
 * @throws the listen error (EADDRINUSE, EADDRNOTAVAIL, EACCES) with `address` and `port`.
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  let scrapes = 0;

  async function metrics(response: ServerResponse): Promise<void> {
    if (scrapes >= maxScrapes) {
      reply(response, 503, `${maxScrapes} scrapes are under way: scrape less often\n`, { 'Retry-After': '5' });
      return;
    }
    scrapes++;
    try {
      await stream(response, options.scrape());
    } catch (error) {
      options.onError(error);
      if (response.headersSent) response.destroy();
      else reply(response, 500, 'scrape failed: see the log of spillwayd\n');
    } finally {
      scrapes--;
    }
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '/').split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply(response, 405, `${request.method} is not for this: use GET\n`, { Allow: 'GET, HEAD' });
    } else if (path === '/metrics') {
      if (request.method === 'HEAD') response.writeHead(200, { 'Content-Type': contentType }).end();
      else void metrics(response);
    } else if (path === '/livez') {
      reply(response, 200, 'ok\n');
    } else if (path === '/readyz') {
      const reasons = options.notReady();
      if (reasons.length === 0) reply(response, 200, 'ok\n');
      else reply(response, 503, `${reasons.join('\n')}\n`);
    } else {
      reply(response, 404, 'not found: /metrics, /livez and /readyz are here\n');
    }
  }

  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, handle);
  server.listen({ host: options.host, port: options.port });
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The reader's pace sets ours; the event loop gets its turn every few milliseconds. */
async function stream(response: ServerResponse, chunks: AsyncIterable<string>): Promise<void> {
  response.setTimeout(stalledMs, () => response.destroy());
  let sliceStart = performance.now();
  for await (const chunk of chunks) {
    if (!response.headersSent) response.writeHead(200, { 'Content-Type': contentType });
    if (response.destroyed) return;
    if (chunk !== '' && !response.write(chunk)) await drained(response);
    // Draining is no turn for others: a fast reader's socket drains again and again within one turn of the loop.
    if (performance.now() - sliceStart > sliceMs) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceStart = performance.now();
    }
  }
  response.end();
}

/** Also settles when the reader has gone: then nothing would ever drain. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function reply(response: ServerResponse, code: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', ...headers });
  response.end(text);
}
