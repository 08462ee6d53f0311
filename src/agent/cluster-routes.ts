import { isDeepStrictEqual } from 'node:util';
import type { Ip } from '../base/ip.js';
import type { Logger } from '../base/log.js';
import type { Announcer, Route, RoutesStatus } from '../bgp/types.js';
import type { VipRoute } from '../cluster/types.js';
import type { Announcement } from '../config/desired.js';
import type { Clock } from '../health/ports.js';

const RETRY_MS = 1000;
const nothing: RoutesStatus = { kind: 'none', announced: [], neighbors: [], engine: null, problems: [] };

/** Tells the announcer what is wanted now, one telling at a time, and again when it was refused. */
export class RouteKeeper {
  #wanted: readonly Route[] | null = null;
  #told: readonly Route[] | null = null;
  #telling: Promise<void> | null = null;
  #fault = '';
  #retry: (() => void) | null = null;
  #closed = false;

  constructor(
    private readonly announcer: Announcer | null,
    private readonly options: { readonly clock: Clock; readonly log: Logger; readonly onTold: () => void },
  ) {}

  get status(): RoutesStatus {
    return this.announcer?.status() ?? nothing;
  }

  get problems(): readonly string[] {
    const { problems } = this.status;
    const told = this.#fault === '' || problems.includes(this.#fault);
    return [...(told ? [] : [`routes could not be changed: ${this.#fault}`]), ...problems];
  }

  announced(): ReadonlySet<Ip> {
    return new Set(this.status.announced.map(({ vip }) => vip));
  }

  /** What is wanted is in force, as far as the engine says. */
  get settled(): boolean {
    return this.announcer === null || (this.#told !== null && this.#told === this.#wanted);
  }

  want(routes: readonly Route[]): void {
    if (this.#closed || isDeepStrictEqual(routes, this.#wanted)) return;
    this.#wanted = routes;
    if (this.announcer) this.#telling ??= this.#tell(this.announcer);
  }

  async #tell(announcer: Announcer): Promise<void> {
    this.#retry?.();
    this.#retry = null;
    const { clock, log, onTold } = this.options;
    while (this.#told !== this.#wanted && !this.#closed) {
      const routes = this.#wanted!;
      try {
        await announcer.set(routes);
        log.info({ vips: routes.map(({ vip }) => vip) }, `${routes.length} VIPs announced`);
        this.#told = routes;
        this.#fault = '';
      } catch (error) {
        this.#fault = (error as Error).message;
        log.error({ err: error }, 'routes could not be changed: tried again');
        break;
      }
    }
    this.#telling = null;
    if (this.#told !== this.#wanted && !this.#closed) {
      this.#retry = clock.after(RETRY_MS, () => {
        this.#telling ??= this.#tell(announcer);
      });
    }
    onTold();
  }

  async close({ withdraw }: { readonly withdraw: boolean }): Promise<void> {
    this.#closed = true;
    this.#retry?.();
    await this.#telling;
    try {
      await this.announcer?.close({ withdraw });
    } catch (error) {
      this.options.log.error({ err: error }, 'the routes could not be withdrawn: look at what announces them');
    }
  }
}

/** As the announcer takes them. */
export function routesOf(vips: readonly VipRoute[], announcementOf: (vip: VipRoute) => Announcement): Route[] {
  return vips
    .filter(({ announce }) => announce)
    .map((vip) => {
      const { med, prepend, communities } = announcementOf(vip);
      return { vip: vip.vip, preference: vip.preference, med, prepend, communities };
    });
}
