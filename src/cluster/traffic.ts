/** What this node's counters say of packets to VIPs, since the maps were made. */
export interface TrafficSample {
  readonly atMs: number;
  readonly packets: bigint;
  readonly newSessions: bigint;
}

/** Traffic has to be gone for so long. */
export const QUIET_MS = 1000;
/** A straggler a second is no traffic; nor is a thousandth of what there was. */
const trickle = { packetsPerSecond: 1, ofBefore: 0.001 };

/** Has the traffic moved to others? By samples of the counters, in order. */
export class TrafficWatch {
  readonly #samples: TrafficSample[] = [];

  /** @param before packets a second before the routes were withdrawn; 0: not known. */
  constructor(private readonly before: number) {}

  add(sample: TrafficSample): void {
    this.#samples.push(sample);
    // One that is old enough to look back a second to stays.
    while (this.#samples.length > 2 && this.#samples[1]!.atMs <= sample.atMs - QUIET_MS) this.#samples.shift();
  }

  /** Over the last second, or what there is of it. */
  get packetsPerSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return (Number(last.packets - first.packets) * 1000) / (last.atMs - first.atMs);
  }

  /** At most a trickle, and nothing new, for a second. */
  get gone(): boolean {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.atMs - first.atMs < QUIET_MS) return false;
    const most = Math.max(trickle.packetsPerSecond, this.before * trickle.ofBefore);
    return this.packetsPerSecond <= most && last.newSessions === first.newSessions;
  }
}
