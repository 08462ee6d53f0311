import type { Ip } from '../base/ip.js';

/** How a frame reaches an address: what the route and neighbour tables say now. */
export type NextHop =
  | {
      readonly state: 'resolved';
      readonly mac: string;
      readonly ifindex: number;
      /** Bytes of IP packet. */
      readonly mtu: number;
      /** Preferred source for the outer header. */
      readonly source: Ip;
      /** The gateway, or the address itself when it is on the link. */
      readonly via: Ip;
    }
  | { readonly state: 'unresolved' /** "no route", "no answer to ARP from 203.0.113.9" */; readonly reason: string };

export interface InterfaceState {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
}
