import { UnavailableError } from '../base/errors.js';
import type { KernelTableConfig } from '../config/cluster.js';
import type { RouteMessage } from '../netlink/decode.js';
import type { Timer } from '../netlink/port.js';
import { errnoName } from '../netlink/resolve.js';
import { isOurs, planKernel, routeOf } from './kernel-plan.js';
import { type Change, RouteSocket } from './route-socket.js';
import type { AnnouncerDeps } from './system.js';
import type { Announcer, Route, RoutesStatus } from './types.js';
import { Waiters } from './waiters.js';
import { type Wanted, wantedOf } from './wanted.js';

const POLL_MS = 5000;
/** A node with the Internet's routes takes its time to tell them. */
const MANY_ROUTES = 20_000;
const MANY_POLL_MS = 60_000;
const RETRY_MS = 1000;
const EEXIST = 17;
const ESRCH = 3;

/** Routes /32 and /128 in a kernel table, which a BIRD or FRR whose configuration is not ours announces. */
export async function openKernelTableAnnouncer(
  config: KernelTableConfig,
  deps: Pick<AnnouncerDeps, 'NetlinkSocket' | 'clock' | 'log'>,
): Promise<Announcer> {
  const announcer = new KernelTableAnnouncer(config, deps);
  await announcer.open();
  return announcer;
}

/** Reads the table and puts it right: when told, when somebody else touched it, and every few seconds. */
class KernelTableAnnouncer implements Announcer {
  readonly #config: KernelTableConfig;
  readonly #deps: Pick<AnnouncerDeps, 'NetlinkSocket' | 'clock' | 'log'>;
  readonly #socket: RouteSocket;
  readonly #waiters: Waiters;
  readonly #listeners = new Set<() => void>();
  /** null: nothing was told yet, and what is there stays. */
  #told: Wanted | null = null;
  #generation = 0;
  #settled = 0;
  #there: readonly Route[] = [];
  #seen = 0;
  #trouble: string | null = null;
  #changes = 0;
  #refusals = 0;
  #repairs = 0;
  #timer: Timer | null = null;
  #turning: Promise<void> | null = null;
  #due = false;
  #closing = false;
  #lastStatus = '';

  constructor(config: KernelTableConfig, deps: Pick<AnnouncerDeps, 'NetlinkSocket' | 'clock' | 'log'>) {
    this.#config = config;
    this.#deps = deps;
    this.#waiters = new Waiters(deps.clock);
    this.#socket = new RouteSocket({ ...deps, onChange: (route) => this.#heard(route) });
  }

  async open(): Promise<void> {
    await this.#run();
  }

  set(routes: readonly Route[]): Promise<void> {
    if (this.#closing) return Promise.reject(new UnavailableError('the announcer of routes is closed'));
    this.#told = wantedOf(routes);
    const inForce = this.#waiters.add(++this.#generation);
    this.#kick();
    return inForce;
  }

  status(): RoutesStatus {
    return {
      kind: 'kernel',
      announced: this.#there,
      neighbors: [],
      engine: {
        version: '',
        running: true,
        sinceMs: null,
        starts: 0,
        changes: this.#changes,
        refusals: this.#refusals,
        lastChangeMs: this.#waiters.lastMs,
        repairs: this.#repairs,
      },
      problems: [...(this.#trouble === null ? [] : [this.#trouble]), ...(this.#told?.faults ?? [])],
    };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close({ withdraw }: { readonly withdraw: boolean }): Promise<void> {
    if (this.#closing) return;
    try {
      if (withdraw) await this.set([]);
    } finally {
      this.#closing = true;
      this.#timer?.cancel();
      await this.#turning;
      this.#socket.close();
      this.#waiters.refuse(this.#generation, new UnavailableError('the announcer of routes is closed'));
    }
  }

  #heard(route: RouteMessage | null): void {
    if (route !== null && !isOurs(route, this.#config)) return;
    this.#kick();
  }

  #kick(): void {
    this.#due = true;
    if (this.#closing || this.#turning !== null) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(0, () => void this.#run());
  }

  #run(): Promise<void> {
    this.#timer?.cancel();
    this.#due = false;
    this.#turning = this.#turn().finally(() => {
      this.#turning = null;
      if (this.#closing) return;
      const pollMs = this.#seen > MANY_ROUTES ? MANY_POLL_MS : POLL_MS;
      const pauseMs = this.#trouble === null ? pollMs : RETRY_MS;
      this.#timer = this.#deps.clock.after(this.#due ? 0 : pauseMs, () => void this.#run());
    });
    return this.#turning;
  }

  async #turn(): Promise<void> {
    const generation = this.#generation;
    let trouble: string | null = null;
    try {
      await this.#put(generation);
      this.#waiters.settle(generation);
    } catch (error) {
      trouble = (error as Error).message;
      if (trouble !== this.#trouble) this.#refusals++;
      this.#waiters.refuse(generation, new UnavailableError(trouble, { cause: error }));
    }
    this.#say(trouble);
  }

  async #put(generation: number): Promise<void> {
    const have = await this.#read();
    const told = this.#told;
    if (told === null) return;
    const changes = planKernel(have, told.routes, this.#config);
    if (generation > this.#settled) this.#changes++;
    else this.#repairs += changes.length;
    if (changes.length === 0) {
      this.#settled = generation;
      return;
    }
    const outcomes = await this.#socket.change(changes);
    await this.#read();
    const refusal = changes.flatMap((change, index) => this.#refusalOf(change, outcomes[index]!) ?? [])[0];
    if (refusal !== undefined) throw new Error(refusal);
    this.#settled = generation;
    this.#deps.log.info(
      { table: this.#config.table, changes: changes.length },
      'routes of the kernel table were changed',
    );
  }

  /** Ours of both families. */
  async #read(): Promise<readonly RouteMessage[]> {
    const wanted = (route: RouteMessage): boolean => isOurs(route, this.#config);
    const both = [await this.#socket.dump(4, wanted), await this.#socket.dump(6, wanted)];
    this.#seen = both.reduce((sum, { seen }) => sum + seen, 0);
    const routes = both.flatMap((one) => one.routes);
    this.#there = routes.flatMap((route) => routeOf(route, this.#config) ?? []);
    return routes;
  }

  #refusalOf(
    { wish, route }: Change,
    { errno, text }: { readonly errno: number; readonly text: string | null },
  ): string | null {
    if (errno === 0 || (wish === 'remove' && errno === ESRCH)) return null;
    const what = `${route.destination}/${route.prefixBits} with metric ${route.metric} in table ${route.table}`;
    if (errno === EEXIST)
      return `${what} is there already, put there by somebody else: remove it, or choose another table`;
    return `the kernel does not ${wish} ${what}: ${text ?? errnoName(errno)}`;
  }

  #say(trouble: string | null): void {
    if (trouble !== this.#trouble && trouble !== null) {
      this.#deps.log.warn({ problem: trouble }, 'routes are not as they should be');
    }
    this.#trouble = trouble;
    const status = JSON.stringify(this.status());
    if (status === this.#lastStatus) return;
    this.#lastStatus = status;
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (err) {
        this.#deps.log.error({ err }, 'a change of the routes could not be told');
      }
    }
  }
}
