import type { Ip } from '../base/ip.js';
import type { BackendGroup, Desired } from '../config/desired.js';
import type { NextHopTracker } from '../netlink/tracker.js';
import type { NextHop } from '../netlink/types.js';
import type { ObservedState } from './state.js';

/** Routes are known after some milliseconds; neighbours that do not answer are not waited for. */
const SETTLE_MS = 3000;

/**
 * Keeps the tracker's addresses those of the desired state, and its answers in the observed state, so that a
 * configuration comes into force with next hops rather than without.
 */
export class NextHopPreparation {
  #groups = new Map<string, BackendGroup>();
  readonly #held = new Map<Ip, NextHop>();

  constructor(
    private readonly tracker: NextHopTracker,
    private readonly observed: ObservedState,
  ) {}

  async prepare(desired: Desired): Promise<void> {
    if (!this.#sameAddresses(desired)) {
      const addresses = new Set(
        desired.backendGroups.flatMap(({ backends }) => backends.map(({ address }) => address)),
      );
      this.tracker.setAddresses([...addresses]);
      await withDeadline(this.tracker.settled(), SETTLE_MS);
      this.take(addresses);
    }
    this.#groups = new Map(desired.backendGroups.map((group) => [group.name, group]));
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
      const hop = this.tracker.get(address);
      if (sameHop(this.#held.get(address), hop)) continue;
      this.#held.set(address, hop);
      this.observed.setNextHop(address, hop);
      changed = true;
    }
    return changed;
  }
}

function sameHop(a: NextHop | undefined, b: NextHop): boolean {
  if (a === undefined || a.state !== b.state) return false;
  if (a.state === 'unresolved') return b.state === 'unresolved' && a.reason === b.reason;
  return (
    b.state === 'resolved' && a.mac === b.mac && a.mtu === b.mtu && a.source === b.source && a.ifindex === b.ifindex
  );
}

async function withDeadline(task: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
  });
  await Promise.race([task, deadline]);
  clearTimeout(timer);
}
