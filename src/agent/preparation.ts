import { BackendFlags, type Backend as BackendRow, type Egress } from '../abi/abi.generated.js';
import { bytesToIp, formatMac, type Ip } from '../base/ip.js';
import { egressDevice } from '../compile/egress.js';
import type { BackendGroup, Desired } from '../config/desired.js';
import type { NextHopTracker } from '../netlink/tracker.js';
import type { NextHop } from '../netlink/types.js';
import type { ObservedState } from './state.js';

/** Routes are known after some milliseconds; neighbours that do not answer are not waited for. */
const SETTLE_MS = 3000;
/** As long as a neighbour that falls silent keeps its MAC. */
const ADOPTED_MS = 30_000;

/**
 * Keeps the tracker's addresses those of the desired state, and its answers in the observed state, so that a
 * configuration comes into force with next hops rather than without.
 */
export class NextHopPreparation {
  #groups = new Map<string, BackendGroup>();
  readonly #held = new Map<Ip, NextHop>();
  readonly #adopted = new Map<Ip, NextHop>();
  #wanted: ReadonlySet<Ip> = new Set();

  constructor(
    private readonly tracker: NextHopTracker,
    private readonly observed: ObservedState,
  ) {}

  /**
   * Next hops by which the data plane forwards already: to a restarted agent they stand until the kernel knows better,
   * for a neighbour that is slow to answer is no reason to take traffic from its backend.
   */
  adopt(
    rows: Iterable<BackendRow>,
    { egresses = new Map(), onEnd }: { egresses?: ReadonlyMap<number, Egress>; onEnd: () => void },
  ): void {
    for (const { flags, nextHop, address, source, mtu, egress } of rows) {
      if (!(flags & BackendFlags.BACKEND_UP)) continue;
      const way = egresses.get(egress);
      const via = bytesToIp(address);
      this.#adopted.set(via, {
        state: 'resolved',
        mac: formatMac(nextHop),
        ifindex: 0,
        device: way ? egressDevice(way) : '',
        vlan: way?.vlan ?? 0,
        steered: way !== undefined,
        mtu,
        source: bytesToIp(source),
        via,
      });
    }
    if (this.#adopted.size === 0) return;
    const end = (): void => {
      this.#adopted.clear();
      if (this.take([...this.#held.keys()])) onEnd();
    };
    setTimeout(end, ADOPTED_MS).unref();
  }

  async prepare(desired: Desired): Promise<void> {
    if (!this.#sameAddresses(desired)) {
      const addresses = new Set(
        desired.backendGroups.flatMap(({ backends }) => backends.map(({ address }) => address)),
      );
      this.tracker.setAddresses([...addresses]);
      await withDeadline(this.tracker.settled(), SETTLE_MS);
      this.take(addresses);
      this.#wanted = addresses;
    }
    this.#groups = new Map(desired.backendGroups.map((group) => [group.name, group]));
  }

  /** Once a configuration is in force: until then the one before may have to come back. */
  forgetUnused(): void {
    const unused = [...this.#held.keys()].filter((address) => !this.#wanted.has(address));
    for (const address of unused) this.#held.delete(address);
    this.observed.forget({ addresses: unused });
  }

  #sameAddresses({ backendGroups }: Desired): boolean {
    return (
      backendGroups.length === this.#groups.size &&
      backendGroups.every((group) => {
        const before = this.#groups.get(group.name);
        if (before === group) return true;
        return (
          before?.backends.length === group.backends.length &&
          group.backends.every(({ address }, i) => before.backends[i]!.address === address)
        );
      })
    );
  }

  /** Returns whether anything changed. */
  take(addresses: Iterable<Ip>): boolean {
    let changed = false;
    for (const address of addresses) {
      const hop = this.#hopOf(address);
      if (sameHop(this.#held.get(address), hop)) continue;
      this.#held.set(address, hop);
      this.observed.setNextHop(address, hop);
      changed = true;
    }
    return changed;
  }

  #hopOf(address: Ip): NextHop {
    const hop = this.tracker.get(address);
    if (hop.state === 'resolved') this.#adopted.delete(address);
    return this.#adopted.get(address) ?? hop;
  }
}

function sameHop(a: NextHop | undefined, b: NextHop): boolean {
  if (a === undefined || a.state !== b.state) return false;
  if (a.state === 'unresolved') return b.state === 'unresolved' && a.reason === b.reason;
  return (
    b.state === 'resolved' &&
    a.mac === b.mac &&
    a.mtu === b.mtu &&
    a.source === b.source &&
    a.ifindex === b.ifindex &&
    a.device === b.device &&
    a.vlan === b.vlan &&
    a.steered === b.steered &&
    a.via === b.via
  );
}

/** Resolves then at the latest; the task goes on. */
export async function withDeadline(task: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([task, deadline]);
  clearTimeout(timer);
}
