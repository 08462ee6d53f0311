import type { SyncAddress, SyncControl } from '../../../src/dataplane/addon.js';
import type { EnginePort } from '../../../src/sync/ports.js';
import type { SimClock } from './sim_clock.js';

export interface Datagram {
  readonly node: number;
  readonly boot: bigint;
  readonly from: string;
  readonly to: string | null;
  readonly body: Uint8Array;
}

interface Member {
  readonly address: string;
  readonly node: number;
  readonly boot: bigint;
  readonly admitted: Map<number, bigint>;
  take(control: SyncControl): void;
}

const LATENCY_MS = 0.2;

/** Carries CONTROL datagrams between members; `drops` loses those that it names. Data there is none. */
export class Hub {
  readonly #members = new Map<string, Member>();
  readonly seen: Datagram[] = [];
  drops: (datagram: Datagram, to: string) => boolean = () => false;

  constructor(private readonly clock: SimClock) {}

  /** An engine at that address; `take` gets what comes in. */
  engine(
    { address, node, boot }: { address: string; node: number; boot: bigint },
    take: (control: SyncControl) => void,
  ): EnginePort & { admitted: ReadonlyMap<number, bigint>; leave(): void } {
    const member: Member = { address, node, boot, take, admitted: new Map() };
    this.#members.set(address, member);
    return {
      admitted: member.admitted,
      setKeys: () => {},
      admit: (peer, of) => void member.admitted.set(peer, of),
      forget: (peer) => void member.admitted.delete(peer),
      control: (body, to) => {
        if (this.#members.get(address) !== member) return;
        this.send({ node, boot, from: address, to: to?.address ?? null, body });
      },
      counters: () => ({}),
      peers: () => [],
      sendError: () => null,
      leave: () => void this.#members.delete(address),
      close: () => void this.#members.delete(address),
    };
  }

  send(datagram: Datagram): void {
    this.seen.push(datagram);
    for (const member of this.#members.values()) {
      if (member.address === datagram.from || (datagram.to !== null && datagram.to !== member.address)) continue;
      if (this.drops(datagram, member.address)) continue;
      this.clock.after(LATENCY_MS, () => this.#deliver(member, datagram));
    }
  }

  #deliver(member: Member, { node, boot, from, body }: Datagram): void {
    if (this.#members.get(member.address) !== member) return;
    // As the engine does: an older start of an admitted node is not heard.
    if (boot < (member.admitted.get(node) ?? 0n)) return;
    const address: SyncAddress = { address: from, port: 3784 };
    member.take({ node, boot, from: address, body, admitted: member.admitted.get(node) === boot });
  }
}
