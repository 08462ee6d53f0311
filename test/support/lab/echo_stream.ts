import { createSocket, type Socket } from 'node:dgram';
import type { Hello } from './backend.js';
import { patience } from './until.js';

export interface EchoOptions {
  readonly address: string;
  readonly port: number;
  /** Sockets, each a session of its own. */
  readonly flows: number;
  /** Of each flow. */
  readonly perSecond: number;
}

export interface EchoReport {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
  /** By flow: the sequence numbers that never came back. */
  readonly missing: readonly (readonly number[])[];
  /** By flow: every backend that answered, in order of appearance. */
  readonly backends: readonly (readonly string[])[];
  readonly clients: readonly string[];
}

const beatMs = 5;
const stragglersMs = 2000 * patience;
const headBytes = 4;

class Flow {
  readonly backends = new Set<string>();
  readonly clients = new Set<string>();
  readonly waitedFor = new Set<number>();
  sent = 0;
  received = 0;
  duplicates = 0;
  readonly #socket: Socket;

  constructor({ address, port }: EchoOptions) {
    this.#socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    this.#socket.on('message', (message) => this.#take(message));
    // A port that nobody listens on yet answers with ICMP: that is a loss, and counted as one.
    this.#socket.on('error', () => {});
    this.#socket.connect(port, address);
    this.#socket.once('connect', () => {
      this.ready = true;
    });
  }

  ready = false;

  send(): void {
    const sequence = this.sent++;
    this.waitedFor.add(sequence);
    const message = Buffer.alloc(headBytes);
    message.writeUInt32BE(sequence);
    this.#socket.send(message);
  }

  #take(message: Buffer): void {
    if (!this.waitedFor.delete(message.readUInt32BE(0))) this.duplicates++;
    else this.received++;
    const hello = JSON.parse(message.toString('utf8', headBytes)) as Hello;
    this.backends.add(hello.backend);
    this.clients.add(hello.client);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Datagrams with sequence numbers at a fixed rate over several flows; what does not come back is named. */
export class EchoStream {
  readonly #flows: readonly Flow[];
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = performance.now();

  constructor(private readonly options: EchoOptions) {
    this.#flows = Array.from({ length: options.flows }, () => new Flow(options));
    this.#timer = setInterval(() => this.#beat(), beatMs);
  }

  #beat(): void {
    const due = ((performance.now() - this.#startedMs) / 1000) * this.options.perSecond;
    for (const flow of this.#flows) if (flow.ready) while (flow.sent < due) flow.send();
  }

  report(): EchoReport {
    const sum = (of: (flow: Flow) => number): number => this.#flows.reduce((total, flow) => total + of(flow), 0);
    return {
      sent: sum(({ sent }) => sent),
      received: sum(({ received }) => received),
      duplicates: sum(({ duplicates }) => duplicates),
      missing: this.#flows.map(({ waitedFor }) => [...waitedFor]),
      backends: this.#flows.map(({ backends }) => [...backends]),
      clients: [...new Set(this.#flows.flatMap(({ clients }) => [...clients]))],
    };
  }

  /** Sends no more, waits for what is on its way, reports. */
  async stop(): Promise<EchoReport> {
    clearInterval(this.#timer);
    const deadlineMs = performance.now() + stragglersMs;
    while (this.#flows.some(({ waitedFor }) => waitedFor.size > 0) && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, beatMs));
    }
    for (const flow of this.#flows) flow.close();
    return this.report();
  }
}
