import type { Ip } from '../base/ip.js';
import { RouteChanges } from './affected.js';
import { decode, type Message } from './decode.js';
import { encodeLinkDump, encodeNeighbourDump, encodeRouteLookup } from './encode.js';
import { RTNLGRP } from './kernel.js';
import { Links } from './links.js';
import { type NeighbourKey, Neighbours } from './neighbours.js';
import type { Clock, NetlinkConnection, NetlinkPort, Timer } from './port.js';
import { type Outcome, type Request, Requests } from './requests.js';
import { errnoName, type RouteAnswer, routeAnswer } from './resolve.js';

export interface TablesOptions {
  readonly netlink: NetlinkPort;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly resyncMs: number;
  readonly onLinks: () => void;
  readonly onNeighbour: (key: NeighbourKey) => void;
  /** `routes` has collected something. */
  readonly onRoutes: () => void;
  /** Links and neighbours have been read (again): whatever else was asked for before is forgotten. */
  readonly onPrimed: () => void;
}

const GROUPS = Object.values(RTNLGRP);
/** After an overrun the storm may still be on. */
const OVERRUN_PAUSE_MS = 100;
const STALL_PAUSE_MS = 1000;

/** Mirrors the kernel's links and neighbours, collects changes of its routes, and recovers from lost messages. */
export class Tables {
  readonly links = new Links();
  readonly neighbours: Neighbours;
  readonly routes = new RouteChanges();
  readonly #options: TablesOptions;
  readonly #connection: NetlinkConnection;
  readonly #requests: Requests;
  #resyncTimer: Timer | null = null;
  #primed = false;
  #closed = false;
  #overruns = 0;
  #faults = 0;
  #trouble: string | null = null;

  constructor(options: TablesOptions) {
    this.#options = options;
    this.neighbours = new Neighbours(options.graceMs);
    this.#connection = new options.netlink(GROUPS, (datagram, overrun) => this.#onDatagram(datagram, overrun));
    this.#requests = new Requests(this.#connection, {
      clock: options.clock,
      onStall: (reason) => this.#stalled(reason),
    });
    this.resync();
  }

  /** False until links and neighbours have been read, and while they are read again after a loss. */
  get primed(): boolean {
    return this.#primed;
  }

  get idle(): boolean {
    return this.#requests.idle;
  }

  problems(): readonly string[] {
    const problems: string[] = [];
    if (this.#trouble !== null) problems.push(this.#trouble);
    if (this.#overruns > 0)
      problems.push(`netlink overran ${this.#overruns} times: the tables were read again each time`);
    if (this.#faults > 0) problems.push(`${this.#faults} netlink messages made no sense and were ignored`);
    return problems;
  }

  send(requests: readonly Request[]): void {
    this.#requests.add(requests);
  }

  lookUp(addresses: readonly Ip[], onAnswer: (address: Ip, answer: RouteAnswer) => void): void {
    this.send(addresses.map((address) => lookupRequest(address, (answer) => onAnswer(address, answer))));
  }

  resync(): void {
    if (this.#closed) return;
    this.#primed = false;
    this.#requests.reset();
    this.#resyncIn(this.#options.resyncMs);
    this.links.dumpBegins();
    this.neighbours.dumpBegins();
    const onMessage = (message: Message) => this.#apply(message);
    this.send([
      { dump: true, encode: encodeLinkDump, onMessage, onEnd: (outcome) => this.#linksDumped(outcome) },
      { dump: true, encode: encodeNeighbourDump, onMessage, onEnd: (outcome) => this.#neighboursDumped(outcome) },
    ]);
  }

  close(release: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#resyncTimer?.cancel();
    this.#requests.reset();
    // Nobody waits for the answers, and what the kernel does not take it forgets by itself some day.
    for (const request of release ? this.neighbours.releaseAll() : []) this.#connection.send(request.encode(1));
    this.#connection.close();
  }

  #onDatagram(datagram: Uint8Array | null, overrun: boolean): void {
    if (this.#closed) return;
    if (overrun) {
      this.#overruns++;
      this.#startOver(OVERRUN_PAUSE_MS);
    }
    if (datagram === null) return;
    const { messages, fault } = decode(datagram);
    if (fault !== null) this.#faults++;
    for (const message of messages) if (!this.#requests.take(message)) this.#apply(message);
  }

  #apply(message: Message): void {
    switch (message.kind) {
      case 'link':
        if (this.links.update(message)) this.#linksChanged();
        return;
      case 'neighbour': {
        const key = this.neighbours.update(message, this.#options.clock.nowMs());
        if (key !== null) this.#options.onNeighbour(key);
        return;
      }
      case 'route':
        if (message.cloned) return;
        this.routes.addPrefix(message);
        this.#options.onRoutes();
        return;
      case 'address':
        this.routes.addFamily(message.family);
        this.#options.onRoutes();
        return;
      case 'policy':
        this.#allRoutes();
        return;
      case 'malformed':
        this.#faults++;
        return;
      case 'error':
      case 'done':
      case 'other':
        return;
    }
  }

  /** Taking a link down flushes its IPv4 routes without a word. */
  #linksChanged(): void {
    this.#options.onLinks();
    this.#allRoutes();
  }

  #allRoutes(): void {
    this.routes.addFamily(4);
    this.routes.addFamily(6);
    this.#options.onRoutes();
  }

  #linksDumped(outcome: Outcome): void {
    if (outcome.errno !== 0) this.#stalled(`the kernel refused to list its links: ${errnoName(outcome.errno)}`);
    else if (this.links.dumpDone()) this.#linksChanged();
  }

  #neighboursDumped(outcome: Outcome): void {
    if (outcome.errno !== 0) {
      this.#stalled(`the kernel refused to list its neighbours: ${errnoName(outcome.errno)}`);
      return;
    }
    for (const key of this.neighbours.dumpDone(this.#options.clock.nowMs())) this.#options.onNeighbour(key);
    this.#primed = true;
    this.#trouble = null;
    // Every route is looked up anyway.
    this.routes.take([]);
    this.#options.onPrimed();
  }

  #stalled(reason: string): void {
    this.#trouble = reason;
    this.#startOver(STALL_PAUSE_MS);
  }

  #startOver(pauseMs: number): void {
    this.#primed = false;
    this.#requests.reset();
    this.#resyncIn(pauseMs);
  }

  #resyncIn(delayMs: number): void {
    if (this.#closed) return;
    this.#resyncTimer?.cancel();
    this.#resyncTimer = this.#options.clock.after(delayMs, () => this.resync());
  }
}

function lookupRequest(address: Ip, onAnswer: (answer: RouteAnswer) => void): Request {
  let answer: RouteAnswer | null = null;
  return {
    dump: false,
    encode: (sequence) => encodeRouteLookup(sequence, address),
    onMessage(message) {
      if (message.kind === 'route') answer = routeAnswer(message);
    },
    onEnd: (outcome) => onAnswer(answer ?? { kind: 'refused', ...outcome }),
  };
}
