import type { Ip } from '../base/ip.js';

/** How a frame reaches an address: what the route and neighbour tables say now. */
export type NextHop =
  | {
      readonly state: 'resolved';
      readonly mac: string;
      readonly ifindex: number;
      /** What the route leaves by: eth0, eth0.20, bond0. */
      readonly device: string;
      /** The tag that frames to it carry; 0: none. */
      readonly vlan: number;
      /** By its {@link WayOut}; else out of the port, and with the tags, that the packet came with. */
      readonly steered: boolean;
      /** Bytes of IP packet. */
      readonly mtu: number;
      /** Preferred source for the outer header. */
      readonly source: Ip;
      /** The gateway, or the address itself when it is on the link. */
      readonly via: Ip;
    }
  | { readonly state: 'unresolved' /** "no route", "no answer to ARP from 203.0.113.9" */; readonly reason: string };

/** How frames leave by a device: all that a next hop by it need not know. */
export interface WayOut {
  readonly device: string;
  /** Index of each interface that may send them now: itself, a VLAN's parent, the active slaves of a bond. Never empty. */
  readonly ports: readonly number[];
  /** Source address. */
  readonly mac: string;
  /** 0: none. */
  readonly vlan: number;
}

export interface InterfaceState {
  readonly ifindex: number;
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
}

/** Where the program is attached. */
export interface Port extends InterfaceState {
  /** Names in the configuration that it stands for: its own, VLANs on it, the bond that it belongs to. */
  readonly serves: readonly string[];
}
