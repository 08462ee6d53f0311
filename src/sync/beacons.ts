import type { NodeReport } from '../cluster/types.js';
import type { SyncAddress } from '../dataplane/addon.js';
import type { Clock } from './ports.js';
import { encodeControl, newestWire, oldestWire } from './wire.js';

export const BEACON_MS = 250;
/** Changes that come faster share a beacon. */
const SHARE_MS = 20;
const RESYNC_SHARE_MS = 1000;

const lives = { joining: 'JOINING', active: 'ACTIVE', draining: 'DRAINING', stopped: 'STOPPED' } as const;

export interface BeaconOptions {
  readonly clock: Clock;
  readonly report: NodeReport;
  readonly transferPort: () => number;
  readonly send: (body: Uint8Array, to: SyncAddress | null) => void;
}

/** Says what this node is, four times a second and at each change. */
export class BeaconSender {
  readonly #options: BeaconOptions;
  #report: NodeReport;
  #resync = 0n;
  #resyncMs = -Infinity;
  #cancelResync: (() => void) | null = null;
  #sentMs = -Infinity;
  #cancel: () => void = () => {};

  constructor(options: BeaconOptions) {
    this.#options = options;
    this.#report = options.report;
    this.#send();
  }

  get report(): NodeReport {
    return this.#report;
  }

  setReport(report: NodeReport): void {
    const isOther = differs(this.#report, report);
    this.#report = report;
    if (isOther) this.#soon();
  }

  /** Calls within a second share one: each makes all peers compare their tables with this node's. */
  resync(): void {
    const { clock } = this.#options;
    this.#cancelResync ??= clock.after(Math.max(0, this.#resyncMs + RESYNC_SHARE_MS - clock.monotonicMs()), () => {
      this.#cancelResync = null;
      this.#resyncMs = clock.monotonicMs();
      this.#resync++;
      this.#soon();
    });
  }

  sendTo(to: SyncAddress): void {
    this.#options.send(this.#encode(), to);
  }

  close(): void {
    this.#cancelResync?.();
    this.#cancel();
  }

  #soon(): void {
    const { clock } = this.#options;
    this.#cancel();
    const sinceMs = clock.monotonicMs() - this.#sentMs;
    if (sinceMs >= SHARE_MS) this.#send();
    else this.#cancel = clock.after(SHARE_MS - sinceMs, () => this.#send());
  }

  #send(): void {
    const { clock, send } = this.#options;
    this.#sentMs = clock.monotonicMs();
    send(this.#encode(), null);
    this.#cancel = clock.after(BEACON_MS, () => this.#send());
  }

  #encode(): Uint8Array {
    const { name, zone, life, version, ...rest } = this.#report;
    const { configVersion, configDigest, flowKeyDigest, sessions, announced, suspect, startedAtMs } = rest;
    return encodeControl({
      beacon: {
        ...{ name, zone, life: lives[life], version, configVersion, configDigest, flowKeyDigest },
        ...{ sessions, announced, suspect, startedAtMs: Math.floor(startedAtMs) },
        ...{ oldestWire, newestWire, transferPort: this.#options.transferPort(), resync: this.#resync },
        sentAtUs: Math.floor(this.#options.clock.wallMs() * 1000),
      },
    });
  }
}

/** All but the number of sessions, which changes all the time. */
function differs({ sessions: _, ...a }: NodeReport, { sessions: __, ...b }: NodeReport): boolean {
  return (Object.keys(a) as (keyof typeof a)[]).some((key) => a[key] !== b[key]);
}
