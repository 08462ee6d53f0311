/** A prober whose results can be awaited by id, and what it probes. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { type ProbeRequest, type ProbeResult, Prober } from '../../src/dataplane/addon.js';

export const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
export const LOOPBACK6 = Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0));

export function request(id: number, port: number, options: Partial<ProbeRequest> = {}): ProbeRequest {
  return {
    id,
    port,
    kind: 'tcp',
    address: LOOPBACK,
    mark: 0,
    timeoutMs: 5000,
    send: null,
    receive: 0,
    until: null,
    handOver: false,
    ...options,
  };
}

export class Bench {
  readonly results: ProbeResult[] = [];
  readonly prober: Prober;
  #waiting: (() => void)[] = [];
  #nextId = 1;

  constructor(t: ExecutionContext) {
    this.prober = new Prober((results) => {
      this.results.push(...results);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    t.teardown(() => this.prober.close());
  }

  /** Runs one probe to its end. */
  async probe(port: number, options: Partial<ProbeRequest> = {}): Promise<ProbeResult> {
    const id = this.#nextId++;
    this.prober.start([request(id, port, options)]);
    return this.result(id);
  }

  async result(id: number): Promise<ProbeResult> {
    for (;;) {
      const found = this.results.find((each) => each.id === id);
      if (found) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** A tcp server on loopback; gives its port. */
export async function serve(
  t: ExecutionContext,
  handle: (socket: Socket) => void,
  host = '127.0.0.1',
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    handle(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** A udp socket on loopback that answers what `answer` gives; null = silence. */
export async function serveUdp(t: ExecutionContext, answer: (message: Buffer) => string | null): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const reply = answer(message);
    if (reply !== null) socket.send(reply, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return socket.address().port;
}

/** A port of loopback on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
