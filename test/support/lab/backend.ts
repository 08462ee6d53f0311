/** A backend of the lab tests: HTTP that says who answers whom, paced downloads, UDP echo. Run by Lab.backend. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { serve } from './peer.js';

export interface Hello {
  readonly backend: string;
  /** As the backend sees it; IPv4 without the mapping prefix. */
  readonly client: string;
}

const servers = new Map<number, Server>();
const echoes: UdpSocket[] = [];
const chunk = Buffer.alloc(16 * 1024, 'spillway');
let name = '';
let requests = 0;

function sayHello(request: IncomingMessage, response: ServerResponse): void {
  requests++;
  const hello: Hello = { backend: name, client: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '') };
  const body = JSON.stringify(hello);
  response.writeHead(200, { 'content-length': Buffer.byteLength(body), connection: 'close' });
  response.end(body);
}

/** /bytes/COUNT/PER_SECOND: so many bytes, no faster than that. */
async function download(response: ServerResponse, bytes: number, perSecond: number): Promise<void> {
  response.writeHead(200, { 'content-length': bytes, 'x-backend': name, connection: 'close' });
  const startedMs = performance.now();
  for (let sent = 0; sent < bytes && !response.destroyed; ) {
    const aheadMs = (sent / perSecond) * 1000 - (performance.now() - startedMs);
    if (aheadMs > 1) await delay(aheadMs);
    const piece = chunk.subarray(0, Math.min(chunk.length, bytes - sent));
    sent += piece.length;
    await new Promise((resolve) => response.write(piece, resolve));
  }
  response.end();
}

/** Gives back what was sent: full-size packets both ways. */
function mirror(request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, {
    'content-length': request.headers['content-length'],
    'x-backend': name,
    connection: 'close',
  });
  request.pipe(response);
}

async function listen(port: number): Promise<void> {
  const server = createServer((request, response) => {
    const [, what, bytes, perSecond] = (request.url ?? '').split('/');
    if (what === 'bytes') void download(response, Number(bytes), Number(perSecond));
    else if (what === 'mirror') mirror(request, response);
    else sayHello(request, response);
  });
  server.listen({ port, host: '::', backlog: 1024 });
  await once(server, 'listening');
  servers.set(port, server);
}

/** One socket for each address, so that the answer comes from the address that was asked. */
async function echo(address: string, port: number): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, { address: to, port: toPort }) => {
    socket.send(Buffer.concat([message, Buffer.from(JSON.stringify({ backend: name, client: to }))]), toPort, to);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  echoes.push(socket);
}

const methods = {
  async start(options: {
    name: string;
    tcp: readonly number[];
    udp?: number;
    vips?: readonly string[];
  }): Promise<void> {
    name = options.name;
    for (const port of options.tcp) await listen(port);
    for (const vip of options.vips ?? []) await echo(vip, options.udp!);
  },
  /** As a killed process: its connections are reset, new ones refused. */
  stopHttp(): void {
    for (const server of servers.values()) {
      server.close();
      server.closeAllConnections();
    }
    servers.clear();
  },
  async startHttp(ports: readonly number[]): Promise<void> {
    for (const port of ports) await listen(port);
  },
  requests: (): number => requests,
};
export type BackendMethods = typeof methods;

serve(methods);
