import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Comparison, stream } from './bytes.js';

/**
 * A backend of the demo: `node server.js NAME HTTP_PORT ECHO_PORT VIP...`. Sends "ready" to its parent when it serves.
 *
 *   GET /                                      who answers whom
 *   GET /bytes?size=N&seed=N[&pace=N]          pseudo-random bytes, `pace` of them a second
 *   POST /bytes?seed=N                         compares what it gets: {"bytes", "differsAt"}
 */

const [name = '', httpPort, echoPort, ...vips] = process.argv.slice(2);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://backend');
  const client = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  response.setHeader('x-backend', name);
  response.setHeader('x-client', client);
  const number = (key: string): number => Number(url.searchParams.get(key) ?? 0);
  if (url.pathname !== '/bytes') {
    response.end(`${name} answers ${client} port ${request.socket.remotePort}\n`);
  } else if (request.method === 'POST') {
    const comparison = new Comparison(number('seed'));
    for await (const chunk of request) comparison.take(chunk as Buffer);
    response.end(JSON.stringify({ bytes: comparison.bytes, differsAt: comparison.differsAt }));
  } else {
    const size = number('size');
    response.setHeader('content-length', size);
    response.flushHeaders();
    const pace = number('pace') || null;
    await pipeline(Readable.from(stream(size, { seed: number('seed'), pace }), { objectMode: false }), response);
  }
}

/** Bound to the VIP: from the wildcard address the reply would leave with the backend's own. */
async function serveEcho(vip: string): Promise<void> {
  const socket = createSocket({ type: isIPv6(vip) ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  socket.on('message', (payload, { address, port }) => {
    socket.send([payload, ` ${name}`], port, address, (error) => {
      if (error) console.error(`echo to ${address} port ${port}: ${error.message}`);
    });
  });
  socket.bind(Number(echoPort), vip);
  await once(socket, 'listening');
}

const server = createServer({ keepAlive: false }, (request, response) => {
  answer(request, response).catch((error: unknown) => {
    response.destroy();
    // A client that goes away in the middle is no fault of this server.
    if ((error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE' || request.destroyed) return;
    console.error(`${request.method} ${request.url}: ${error instanceof Error ? error.message : error}`);
  });
});
server.listen({ port: Number(httpPort), host: '::', backlog: 1024 });
await Promise.all([once(server, 'listening'), ...vips.map(serveEcho)]);
process.send?.('ready', () => process.disconnect?.());
