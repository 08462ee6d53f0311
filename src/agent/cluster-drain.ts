import { type TrafficSample, TrafficWatch } from '../cluster/traffic.js';
import type { Clock } from '../health/ports.js';

const SAMPLE_MS = 250;

/** Looks at the counters until the traffic has gone; then, once, says so. */
export class DrainWatch {
  readonly #watch: TrafficWatch;
  #stop: (() => void) | null = null;
  #ended = false;

  constructor(
    private readonly options: {
      readonly clock: Clock;
      /** Packets a second before; 0: not known. */
      readonly before: number;
      readonly sample: () => Omit<TrafficSample, 'atMs'>;
      /** Until then no silence counts. */
      readonly withdrawn: () => boolean;
      readonly onGone: () => void;
    },
  ) {
    this.#watch = new TrafficWatch(options.before);
    this.#look();
  }

  get packetsPerSecond(): number {
    return this.#watch.packetsPerSecond;
  }

  #look(): void {
    const { clock, sample, withdrawn, onGone } = this.options;
    if (this.#ended) return;
    this.#watch.add({ atMs: clock.monotonicMs(), ...sample() });
    if (withdrawn() && this.#watch.gone) {
      this.close();
      onGone();
      return;
    }
    this.#stop = clock.after(SAMPLE_MS, () => this.#look());
  }

  close(): void {
    this.#ended = true;
    this.#stop?.();
  }
}
