import type { Ip } from '../base/ip.js';
import type { NeighbourMessage } from './decode.js';
import { encodeNeighbourWish, type NeighbourWish } from './encode.js';
import { NTF_EXT, NUD } from './kernel.js';
import type { Outcome, Request } from './requests.js';
import { errnoName, type NeighbourView, NUD_USABLE } from './resolve.js';

export type NeighbourKey = `${number}|${Ip}`;

interface Entry {
  readonly mac: string | null;
  readonly state: number;
  readonly managed: boolean;
  readonly generation: number;
}

interface Keeping {
  readonly ifindex: number;
  readonly address: Ip;
  users: number;
  /** The kernel was asked, and has not forgotten since. */
  asked: boolean;
  /** A request is on its way. */
  asking: boolean;
  mac: string | null;
  /** When `mac` stopped being confirmed; null while it is, and when there is none. */
  lostAtMs: number | null;
  /** Stays while the kernel tries again: else the reason would change with each attempt. */
  failed: boolean;
  error: string | null;
}

/** Entries that somebody set by hand: asking the kernel to resolve them would unset them. */
const FIXED = NUD.PERMANENT | NUD.NOARP;
/** In these the kernel is on it, or will say when the entry ages. */
const TENDED = NUD.REACHABLE | NUD.DELAY | NUD.PROBE | NUD.INCOMPLETE | FIXED;

/**
 * The kernel's neighbour tables as last seen, and those entries that are to be kept resolved.
 *
 * A neighbour that stops answering keeps its MAC for the grace: a lost ARP is no proof that the host is gone, and a
 * host that is gone is found out by the health check. Without the grace a burst of lost ARP would empty a pool.
 */
export class Neighbours {
  readonly #entries = new Map<NeighbourKey, Entry>();
  readonly #kept = new Map<NeighbourKey, Keeping>();
  #generation = 0;
  /** False on kernels before 5.16: entries are then triggered again as they age. */
  #managed = true;

  constructor(readonly graceMs: number) {}

  get managed(): boolean {
    return this.#managed;
  }

  key(ifindex: number, address: Ip): NeighbourKey {
    return `${ifindex}|${address}`;
  }

  /** Counts one more user; the entry is asked for by {@link wishes}. */
  keep(ifindex: number, address: Ip): void {
    const key = this.key(ifindex, address);
    const keeping = this.#kept.get(key);
    if (keeping) {
      keeping.users++;
      return;
    }
    const entry = this.#entries.get(key);
    const usable = entry && (entry.state & NUD_USABLE) !== 0;
    const mac = usable ? entry.mac : null;
    this.#kept.set(key, {
      ifindex,
      address,
      users: 1,
      asked: false,
      asking: false,
      mac,
      lostAtMs: null,
      failed: false,
      error: null,
    });
  }

  /** One user less; of the last one the entry is given back to the kernel: the request that does so, or null. */
  drop(key: NeighbourKey): Request | null {
    const keeping = this.#kept.get(key);
    if (!keeping || --keeping.users > 0) return null;
    this.#kept.delete(key);
    return this.#release(key, keeping);
  }

  releaseAll(): readonly Request[] {
    const requests = [...this.#kept].map(([key, keeping]) => this.#release(key, keeping));
    this.#kept.clear();
    return requests.filter((request) => request !== null);
  }

  view(ifindex: number, address: Ip): NeighbourView | null {
    const key = this.key(ifindex, address);
    const keeping = this.#kept.get(key);
    if (!keeping) return null;
    return { mac: keeping.mac, failed: keeping.failed, error: keeping.error };
  }

  /** The neighbour's key when it is one that is kept and whose view may have changed. */
  update(message: NeighbourMessage, nowMs: number): NeighbourKey | null {
    const key = this.key(message.ifindex, message.address);
    if (message.removed) this.#entries.delete(key);
    else {
      this.#entries.set(key, {
        mac: message.mac,
        state: message.state,
        managed: (message.extendedFlags & NTF_EXT.MANAGED) !== 0,
        generation: this.#generation,
      });
    }
    return this.#learn(key, nowMs) ? key : null;
  }

  /** What is not seen again until {@link dumpDone} has gone without our hearing of it. */
  dumpBegins(): void {
    this.#generation++;
    // Whoever reads the tables again has forgotten what was under way.
    for (const keeping of this.#kept.values()) keeping.asking = false;
  }

  dumpDone(nowMs: number): readonly NeighbourKey[] {
    for (const [key, entry] of this.#entries) if (entry.generation !== this.#generation) this.#entries.delete(key);
    return [...this.#kept.keys()].filter((key) => this.#learn(key, nowMs));
  }

  /**
   * Requests for the kept entries on usable links that the kernel does not look after now. `aged`: also trigger those
   * that an old kernel let age; not at every opportunity, since it does not announce that it has begun to probe.
   */
  wishes(isUp: (ifindex: number) => boolean, aged: boolean, onChange: (key: NeighbourKey) => void): readonly Request[] {
    const requests: Request[] = [];
    for (const [key, keeping] of this.#kept) {
      if (!isUp(keeping.ifindex) || !this.#isWanting(key, keeping, aged)) continue;
      keeping.asked = true;
      keeping.asking = true;
      const wish = this.#managed ? 'manage' : 'use';
      requests.push(wishRequest(keeping, wish, (outcome) => this.#answered(key, keeping, outcome, onChange)));
    }
    return requests;
  }

  /** Once asked, only these are asked again: lost or unmanaged ones, and on old kernels aged ones. */
  #isWanting(key: NeighbourKey, keeping: Keeping, aged: boolean): boolean {
    if (keeping.asking) return false;
    const entry = this.#entries.get(key);
    if (!entry) return !keeping.asked;
    if ((entry.state & FIXED) !== 0) return false;
    if (!keeping.asked) return true;
    return this.#managed ? !entry.managed : aged && (entry.state & TENDED) === 0;
  }

  /** Gives up the MACs whose grace is over; their keys. */
  expire(nowMs: number): readonly NeighbourKey[] {
    const expired: NeighbourKey[] = [];
    for (const [key, keeping] of this.#kept) {
      if (keeping.lostAtMs === null || keeping.lostAtMs + this.graceMs > nowMs) continue;
      keeping.mac = null;
      keeping.lostAtMs = null;
      keeping.failed = true;
      expired.push(key);
    }
    return expired;
  }

  /** When {@link expire} has something to do next. */
  nextExpiryMs(): number | null {
    let next: number | null = null;
    for (const { lostAtMs } of this.#kept.values()) {
      if (lostAtMs !== null && (next === null || lostAtMs + this.graceMs < next)) next = lostAtMs + this.graceMs;
    }
    return next;
  }

  /** To be called now and then: an entry that vanished without a word is asked for again. */
  forgetSilent(): void {
    for (const [key, keeping] of this.#kept) if (!this.#entries.has(key)) keeping.asked = false;
  }

  /** Asks a neighbour at its present MAC now; one that has moved is found anew some 4 s later (ucast_solicit). */
  verify(key: NeighbourKey): readonly Request[] {
    const keeping = this.#kept.get(key);
    const entry = this.#entries.get(key);
    if (!keeping || keeping.asking || !entry || (entry.state & FIXED) !== 0 || (entry.state & NUD_USABLE) === 0)
      return [];
    const ignore = () => {};
    return [wishRequest(keeping, 'verify', ignore), wishRequest(keeping, this.#managed ? 'manage' : 'use', ignore)];
  }

  #answered(key: NeighbourKey, keeping: Keeping, outcome: Outcome, onChange: (key: NeighbourKey) => void): void {
    const before = keeping.error;
    keeping.asking = false;
    keeping.error =
      outcome.errno === 0 ? null : `${errnoName(outcome.errno)}${outcome.text ? ` (${outcome.text})` : ''}`;
    if (outcome.errno !== 0) keeping.asked = false;
    // The kernel announces the entry before it acknowledges: acknowledged but unmanaged = it does not know the flag.
    const entry = this.#entries.get(key);
    if (outcome.errno === 0 && this.#managed && entry && !entry.managed && (entry.state & FIXED) === 0)
      this.#managed = false;
    if (before !== keeping.error) onChange(key);
  }

  #learn(key: NeighbourKey, nowMs: number): boolean {
    const keeping = this.#kept.get(key);
    if (!keeping) return false;
    const entry = this.#entries.get(key);
    if (!entry) keeping.asked = false;
    if (entry?.mac && (entry.state & NUD_USABLE) !== 0) {
      keeping.mac = entry.mac;
      keeping.lostAtMs = null;
      keeping.failed = false;
      keeping.error = null;
      return true;
    }
    if (entry?.state === NUD.FAILED) keeping.failed = true;
    if (keeping.mac !== null) {
      keeping.lostAtMs ??= nowMs;
      // The kernel tries a managed entry again every 5 s (interval_probe_time_ms); for one that was there try at once.
      if (entry?.state === NUD.FAILED) keeping.asked = false;
    }
    return true;
  }

  #release(key: NeighbourKey, keeping: Keeping): Request | null {
    const entry = this.#entries.get(key);
    if (!entry || (entry.state & FIXED) !== 0) return null;
    return wishRequest(keeping, 'release', () => {});
  }
}

function wishRequest(
  neighbour: { readonly ifindex: number; readonly address: Ip },
  wish: NeighbourWish,
  onEnd: (outcome: Outcome) => void,
): Request {
  return { dump: false, encode: (sequence) => encodeNeighbourWish(sequence, neighbour, wish), onEnd };
}
