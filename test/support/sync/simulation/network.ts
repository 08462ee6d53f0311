import type { Chunk, PeerClient, PeerHandlers, TransferPort, TransferTarget } from '../../../../src/sync/ports.js';
import { TransferError } from '../../../../src/sync/ports.js';
import type { Random } from '../../random.js';
import type { SimClock } from '../sim_clock.js';

interface Host {
  receive(datagram: Uint8Array, from: string): void;
}

/** Between a pair of nodes, both ways. */
export interface Link {
  cut: boolean;
  /** Since when all that is sent arrives, at once and once; Infinity: something is lost or somebody is not there. */
  cleanSinceMs: number;
  /** The last time before that it was. */
  before: { readonly sinceMs: number; readonly untilMs: number } | null;
}

const LATENCY_MS = 0.2;
const JITTER_MS = 0.8;

/** Datagrams that get lost, come late and in another order, and connections that break. */
export class Network {
  readonly #hosts = new Map<string, Host>();
  readonly #handlers = new Map<string, { handlers: PeerHandlers; boot: bigint }>();
  readonly #links = new Map<string, Link>();
  loss = 0;
  /** Of a chunk of a transfer. */
  breaks = 0;
  datagrams = 0;
  lost = 0;
  broken = 0;

  constructor(
    private readonly clock: SimClock,
    private readonly random: Random,
  ) {}

  link(a: string, b: string): Link {
    const key = a < b ? `${a} ${b}` : `${b} ${a}`;
    const link = this.#links.get(key) ?? { cut: false, cleanSinceMs: Number.POSITIVE_INFINITY, before: null };
    this.#links.set(key, link);
    return link;
  }

  connect(address: string, host: Host): void {
    this.#hosts.set(address, host);
  }

  disconnect(address: string): void {
    this.#hosts.delete(address);
    this.#handlers.delete(address);
  }

  send(from: string, to: string | null, datagram: Uint8Array): void {
    if (!this.#hosts.has(from)) return;
    for (const [address, host] of this.#hosts) {
      if (address === from || (to !== null && address !== to)) continue;
      this.datagrams++;
      if (this.link(from, address).cut || this.random.chance(this.loss)) {
        this.lost++;
        continue;
      }
      this.clock.after(LATENCY_MS + (this.random.below(1000) / 1000) * JITTER_MS, () => {
        if (this.#hosts.get(address) === host) host.receive(datagram, from);
      });
    }
  }

  /** The transfer as the node at this address has it. */
  transfer(from: string, clock: SimClock): TransferPort {
    return {
      serve: async (handlers, { identity }) => {
        this.#handlers.set(from, { handlers, boot: identity.boot });
        return { port: 3785, close: async () => {} };
      },
      connect: (target) => this.#client(from, target, clock),
    };
  }

  #client(from: string, target: TransferTarget, clock: SimClock): PeerClient {
    const reach = async (): Promise<PeerHandlers> => {
      await new Promise<void>((resolve) => clock.after(1, resolve, true));
      const server = this.#handlers.get(target.address);
      if (server === undefined || this.link(from, target.address).cut) {
        throw new TransferError(`${target.name}: no connection`, true);
      }
      if (server.boot !== target.boot) throw new TransferError(`${target.name}: another start`, false);
      return server.handlers;
    };
    const { random } = this;
    const breakNow = (): void => {
      if (!random.chance(this.breaks)) return;
      this.broken++;
      throw new TransferError(`${target.name}: the connection broke`, true);
    };
    return {
      digest: async (ranges) => {
        const answer = await (await reach()).digest(ranges);
        await reach();
        return answer;
      },
      purge: async (filter) => (await reach()).purge(filter),
      async *fetch(request, signal): AsyncGenerator<Chunk, void, void> {
        const handlers = await reach();
        for await (const chunk of handlers.fetch(request, signal)) {
          await reach();
          breakNow();
          yield chunk;
        }
      },
      close: () => {},
    };
  }
}
