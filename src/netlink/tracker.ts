import type { Ip } from '../base/ip.js';
import type { NeighbourKey } from './neighbours.js';
import { type Clock, type NetlinkPort, systemClock, type Timer } from './port.js';
import { Ports } from './ports.js';
import { type RouteAnswer, resolveNextHop, type Surroundings, wantedNeighbour } from './resolve.js';
import { Tables } from './tables.js';
import type { NextHop, Port, WayOut } from './types.js';

export interface NextHopChange {
  /** Addresses whose next hop is another now. */
  readonly addresses: readonly Ip[];
  /** An interface came, went, or changed its name, MAC, MTU or state. */
  readonly interfaces: boolean;
  /** {@link NextHopTracker.waysOut} is another. */
  readonly waysOut: boolean;
}

export interface NextHopTrackerOptions {
  readonly netlink: NetlinkPort;
  readonly clock?: Clock;
  /** Names of the interfaces that the agent forwards on. */
  readonly interfaces: readonly string[];
  readonly onChange: (change: NextHopChange) => void;
  /** Changes are collected for so long; default 5. */
  readonly coalesceMs?: number;
  /** How long the last MAC of a neighbour that stopped answering is still used; default 30,000. */
  readonly graceMs?: number;
  /** Everything is read again so often, whatever was announced; default 60,000. */
  readonly resyncMs?: number;
}

export interface NextHopTracker {
  /** Replaces the set; results arrive by onChange and {@link get}. Canonical addresses (parseIp). */
  setAddresses(addresses: readonly Ip[]): void;
  get(address: Ip): NextHop;
  /** Where the program belongs: what the agent's interfaces are made of, as far as it exists. */
  ports(): readonly Port[];
  /** Names of the agent's interfaces whose ports are not known. */
  missing(): readonly string[];
  /** Own addresses: frames to one of them are for this host. */
  macs(): readonly string[];
  /** By device: what next hops that are steered go by. */
  waysOut(): ReadonlyMap<string, WayOut>;
  /** Reads everything again. */
  refresh(): void;
  /**
   * Has the kernel ask these neighbours at once whether they still have their MAC: for backends that fail their
   * health checks. Without, a host that came back with another MAC and did not say so is found within 15 to 50 s.
   */
  verify(addresses: readonly Ip[]): void;
  /** Resolves once every route is looked up and told; neighbours may still be silent. */
  settled(): Promise<void>;
  /** What an operator should mend or know; empty when all is well. */
  problems(): readonly string[];
  /**
   * `release`: give the neighbours back to the kernel, when the agent goes for good. Without, they stay resolved
   * for the next agent, and a data plane that forwards meanwhile keeps being right.
   */
  close(options?: { readonly release?: boolean }): void;
}

export function createNextHopTracker(options: NextHopTrackerOptions): NextHopTracker {
  return new Tracker(options);
}

const TEND_MS = 5000;
/** After looking up this many again, changes of routes are collected for longer: a storm must not eat the CPU. */
const MANY_LOOKUPS = 256;
const STORM_PAUSE_MS = 250;

interface Tracked {
  answer: RouteAnswer;
  hop: NextHop;
  neighbour: NeighbourKey | null;
}

class Tracker implements NextHopTracker {
  readonly #options: NextHopTrackerOptions;
  readonly #clock: Clock;
  readonly #tables: Tables;
  readonly #tracked = new Map<Ip, Tracked>();
  /** Who uses a kept neighbour: its change touches only them. Mostly there is one, and a set for each is megabytes. */
  readonly #users = new Map<NeighbourKey, Ip | Set<Ip>>();
  /** To be resolved anew at the next flush. */
  readonly #stale = new Set<Ip>();
  #interfacesChanged = false;
  #ports: Ports;
  #waysOut: ReadonlyMap<string, WayOut> = new Map();
  #lookups = 0;
  #lookupsFromMs = 0;
  #flushTimer: Timer | null = null;
  #tendTimer: Timer | null = null;
  #graceTimer: Timer | null = null;
  #waiters: (() => void)[] = [];
  #closed = false;

  constructor(options: NextHopTrackerOptions) {
    this.#options = options;
    this.#ports = new Ports(options.interfaces, []);
    this.#clock = options.clock ?? systemClock;
    this.#tables = new Tables({
      netlink: options.netlink,
      clock: this.#clock,
      graceMs: options.graceMs ?? 30_000,
      resyncMs: options.resyncMs ?? 60_000,
      onLinks: () => this.#onLinks(),
      onNeighbour: (key) => this.#onNeighbour(key),
      onRoutes: () => this.#flushSoon(),
      onPrimed: () => this.#onPrimed(),
    });
    this.#tend();
  }

  setAddresses(addresses: readonly Ip[]): void {
    const wanted = new Set(addresses);
    for (const [address, tracked] of this.#tracked) {
      if (wanted.has(address)) continue;
      if (tracked.neighbour !== null) this.#leave(address, tracked.neighbour);
      this.#tracked.delete(address);
      this.#stale.delete(address);
    }
    const added = [...wanted].filter((address) => !this.#tracked.has(address));
    const answer: RouteAnswer = { kind: 'pending' };
    const around = this.#surroundings();
    for (const address of added) {
      this.#tracked.set(address, { answer, hop: resolveNextHop(address, answer, around), neighbour: null });
    }
    if (this.#tables.primed) this.#lookUp(added);
  }

  get(address: Ip): NextHop {
    return this.#tracked.get(address)?.hop ?? { state: 'unresolved', reason: `nobody asked for ${address}` };
  }

  ports(): readonly Port[] {
    return this.#ports.all;
  }

  missing(): readonly string[] {
    return this.#ports.missing;
  }

  macs(): readonly string[] {
    return this.#ports.macs;
  }

  waysOut(): ReadonlyMap<string, WayOut> {
    return this.#waysOut;
  }

  refresh(): void {
    this.#tables.resync();
  }

  verify(addresses: readonly Ip[]): void {
    if (!this.#tables.primed) return;
    const keys = new Set(addresses.map((address) => this.#tracked.get(address)?.neighbour ?? null));
    for (const key of keys) if (key !== null) this.#tables.send(this.#tables.neighbours.verify(key));
  }

  settled(): Promise<void> {
    if (this.#isSettled()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  problems(): readonly string[] {
    const problems = [...this.#tables.problems()];
    if (this.#tables.primed) problems.push(...this.#ports.problems());
    if (!this.#tables.neighbours.managed) {
      problems.push('this kernel has no managed neighbours (5.16 and later have): a changed MAC may be noticed late');
    }
    return problems;
  }

  close({ release = false }: { readonly release?: boolean } = {}): void {
    this.#closed = true;
    for (const timer of [this.#flushTimer, this.#tendTimer, this.#graceTimer]) timer?.cancel();
    this.#tables.close(release);
    this.#resolveWaiters();
  }

  #onLinks(): void {
    this.#interfacesChanged = true;
    this.#ports = new Ports(this.#options.interfaces, this.#tables.links.all());
    for (const address of this.#tracked.keys()) this.#stale.add(address);
    this.#flushSoon();
  }

  #onNeighbour(key: NeighbourKey): void {
    const users = this.#users.get(key);
    if (typeof users === 'string') this.#stale.add(users);
    else for (const address of users ?? []) this.#stale.add(address);
    this.#flushSoon();
  }

  #onPrimed(): void {
    this.#lookups = 0;
    this.#lookUp([...this.#tracked.keys()]);
    this.#flushSoon();
  }

  #lookUp(addresses: readonly Ip[]): void {
    this.#lookups += addresses.length;
    this.#tables.lookUp(addresses, (address, answer) => {
      this.#lookups--;
      const tracked = this.#tracked.get(address);
      if (!tracked) return;
      tracked.answer = answer;
      this.#stale.add(address);
      this.#flushSoon();
    });
  }

  #flushSoon(delayMs = this.#options.coalesceMs ?? 5): void {
    if (this.#closed) return;
    this.#flushTimer ??= this.#clock.after(delayMs, () => {
      this.#flushTimer = null;
      this.#flush();
    });
  }

  #flush(): void {
    this.#lookUpChanged();
    const around = this.#surroundings();
    for (const address of this.#stale) this.#moveNeighbour(address, around);
    this.#askNeighbours(false);
    const addresses = [...this.#stale].filter((address) => this.#resolveAnew(address, around));
    this.#stale.clear();
    this.#watchGrace();
    const interfaces = this.#interfacesChanged;
    this.#interfacesChanged = false;
    const waysOut = interfaces && this.#takeWaysOut();
    if (addresses.length > 0 || interfaces) this.#options.onChange({ addresses, interfaces, waysOut });
    if (this.#isSettled()) this.#resolveWaiters();
  }

  /** Lookups under way end first: what changes meanwhile is looked up once, after them. */
  #lookUpChanged(): void {
    const { primed, routes } = this.#tables;
    if (!primed || !routes.any || this.#lookups > 0) return;
    const pauseMs = this.#lookupsFromMs - this.#clock.nowMs();
    if (pauseMs > 0) {
      this.#flushSoon(pauseMs);
      return;
    }
    const affected = routes.take(this.#tracked.keys());
    if (affected.length > MANY_LOOKUPS) this.#lookupsFromMs = this.#clock.nowMs() + STORM_PAUSE_MS;
    if (affected.length > 0) this.#lookUp(affected);
  }

  #resolveAnew(address: Ip, around: Surroundings): boolean {
    const tracked = this.#tracked.get(address);
    if (!tracked) return false;
    const hop = resolveNextHop(address, tracked.answer, around);
    if (JSON.stringify(hop) === JSON.stringify(tracked.hop)) return false;
    tracked.hop = hop;
    return true;
  }

  /** Returns whether they are others than before. */
  #takeWaysOut(): boolean {
    const now = this.#ports.waysOut();
    const before = this.#waysOut;
    this.#waysOut = now;
    return JSON.stringify([...now]) !== JSON.stringify([...before]);
  }

  /** While there is no way at all the last neighbour stays kept: an interface may come back within the grace. */
  #moveNeighbour(address: Ip, around: Surroundings): void {
    const tracked = this.#tracked.get(address);
    const wanted = tracked && wantedNeighbour(address, tracked.answer, around);
    if (!wanted) return;
    const before = tracked.neighbour;
    const key = this.#tables.neighbours.key(wanted.ifindex, wanted.address);
    if (before === key) return;
    this.#tables.neighbours.keep(wanted.ifindex, wanted.address);
    tracked.neighbour = key;
    this.#join(address, key);
    if (before !== null) this.#leave(address, before);
  }

  #join(address: Ip, key: NeighbourKey): void {
    const users = this.#users.get(key);
    if (users === undefined) this.#users.set(key, address);
    else if (typeof users === 'string') this.#users.set(key, new Set([users, address]));
    else users.add(address);
  }

  #leave(address: Ip, key: NeighbourKey): void {
    const users = this.#users.get(key);
    if (typeof users === 'object') users.delete(address);
    if (users === address || (typeof users === 'object' && users.size === 0)) this.#users.delete(key);
    const request = this.#tables.neighbours.drop(key);
    if (request) this.#tables.send([request]);
  }

  #askNeighbours(aged: boolean): void {
    if (!this.#tables.primed) return;
    const isUp = (ifindex: number) => this.#tables.links.get(ifindex)?.up === true;
    this.#tables.send(this.#tables.neighbours.wishes(isUp, aged, (key) => this.#onNeighbour(key)));
  }

  #tend(): void {
    this.#tendTimer = this.#clock.after(TEND_MS, () => {
      if (this.#tables.idle) {
        this.#tables.neighbours.forgetSilent();
        this.#askNeighbours(true);
      }
      this.#tend();
    });
  }

  /** A MAC in its grace has to be given up in time, though nothing is announced then. */
  #watchGrace(): void {
    const atMs = this.#graceTimer ? null : this.#tables.neighbours.nextExpiryMs();
    if (atMs === null) return;
    this.#graceTimer = this.#clock.after(Math.max(1, Math.ceil(atMs - this.#clock.nowMs())), () => {
      this.#graceTimer = null;
      for (const key of this.#tables.neighbours.expire(this.#clock.nowMs())) this.#onNeighbour(key);
      this.#watchGrace();
    });
  }

  #surroundings(): Surroundings {
    return {
      wayOut: (link) => this.#ports.wayOut(link),
      isSteered: (way) => this.#ports.isSteered(way),
      link: (ifindex) => this.#tables.links.get(ifindex),
      neighbour: (ifindex, address) => this.#tables.neighbours.view(ifindex, address),
    };
  }

  #isSettled(): boolean {
    return (
      this.#closed ||
      (this.#tables.primed &&
        this.#lookups === 0 &&
        this.#stale.size === 0 &&
        !this.#tables.routes.any &&
        !this.#flushTimer)
    );
  }

  #resolveWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
