import type { Family } from '../base/ip.js';
import { decode, type RouteMessage } from '../netlink/decode.js';
import { encodeBlackhole, encodeRouteDump, encodeRouteRemoval, type RouteKey } from '../netlink/encode.js';
import { RTNLGRP } from '../netlink/kernel.js';
import type { Clock, NetlinkConnection, NetlinkPort } from '../netlink/port.js';
import { type Outcome, Requests } from '../netlink/requests.js';

export interface Change {
  readonly wish: 'add' | 'remove';
  readonly route: RouteKey;
}

export interface RouteSocketOptions {
  readonly NetlinkSocket: NetlinkPort;
  readonly clock: Clock;
  /** Somebody changed a route; null: messages were lost, any route may be another. */
  readonly onChange: (route: RouteMessage | null) => void;
}

/** The kernel's routes, asked for and changed, and told of when others change them. */
export class RouteSocket {
  readonly #connection: NetlinkConnection;
  readonly #requests: Requests;
  readonly #onChange: RouteSocketOptions['onChange'];
  #rejects = new Set<(error: Error) => void>();

  constructor({ NetlinkSocket, clock, onChange }: RouteSocketOptions) {
    this.#onChange = onChange;
    this.#connection = new NetlinkSocket([RTNLGRP.IPV4_ROUTE, RTNLGRP.IPV6_ROUTE], (datagram, overrun) =>
      this.#take(datagram, overrun),
    );
    this.#requests = new Requests(this.#connection, { clock, onStall: (reason) => this.#fail(reason) });
  }

  /** Those that `wanted` says, of one family and all tables, and how many were looked at. */
  dump(
    family: Family,
    wanted: (route: RouteMessage) => boolean,
  ): Promise<{ readonly routes: readonly RouteMessage[]; readonly seen: number }> {
    const routes: RouteMessage[] = [];
    let seen = 0;
    return this.#promise((resolve, reject) => {
      this.#requests.add([
        {
          dump: true,
          encode: (sequence) => encodeRouteDump(sequence, family),
          onMessage: (message) => {
            if (message.kind !== 'route') return;
            seen++;
            if (wanted(message)) routes.push(message);
          },
          onEnd: ({ errno, text }) => {
            if (errno === 0) resolve({ routes, seen });
            else reject(new Error(`the kernel does not tell its IPv${family} routes: errno ${errno} ${text ?? ''}`));
          },
        },
      ]);
    });
  }

  /** In their order; what became of each. */
  change(changes: readonly Change[]): Promise<readonly Outcome[]> {
    if (changes.length === 0) return Promise.resolve([]);
    const outcomes: Outcome[] = [];
    return this.#promise((resolve) => {
      this.#requests.add(
        changes.map(({ wish, route }, index) => ({
          dump: false,
          encode: (sequence) =>
            wish === 'add' ? encodeBlackhole(sequence, route) : encodeRouteRemoval(sequence, route),
          onEnd: (outcome) => {
            outcomes[index] = outcome;
            if (Object.keys(outcomes).length === changes.length) resolve(outcomes);
          },
        })),
      );
    });
  }

  close(): void {
    this.#requests.reset();
    this.#connection.close();
    this.#fail('the socket is closed');
  }

  #promise<T>(start: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#rejects.add(reject);
      const free = (): void => void this.#rejects.delete(reject);
      start(
        (value) => {
          free();
          resolve(value);
        },
        (error) => {
          free();
          reject(error);
        },
      );
    });
  }

  #fail(reason: string): void {
    const rejects = [...this.#rejects];
    this.#rejects.clear();
    for (const reject of rejects) reject(new Error(reason));
  }

  #take(datagram: Uint8Array | null, overrun: boolean): void {
    if (overrun || datagram === null) {
      this.#onChange(null);
      return;
    }
    for (const message of decode(datagram).messages) {
      if (!this.#requests.take(message) && message.kind === 'route') this.#onChange(message);
    }
  }
}
