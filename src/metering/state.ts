import type { Ip } from '../base/ip.js';
import type { Count, MeteringRecord, Reported, Usage } from './types.js';

/**
 * All that metering knows, and what a checkpoint keeps: readings and what was made of them are of one moment, so that
 * whatever is counted after a checkpoint that was lost is counted again from the same readings.
 */
export interface MeteringState {
  /** Of the maps that the readings are of. Others begin at zero. */
  readonly generation: string;
  readonly hourMs: number;
  /** By service number. */
  readonly services: ReadonlyMap<number, Reading>;
  /** Of the hour under way, by LoadBalancer. */
  readonly usage: ReadonlyMap<string, Usage>;
  /** Finished, and not known to be in their files. */
  readonly finished: readonly MeteringRecord[];
  readonly vips: ReadonlyMap<Ip, VipOwner>;
  readonly reporters: ReadonlyMap<string, Reporter>;
  /** Counted by services that no configuration in force named: an apply that did not come to pass. */
  readonly ownerless: Count;
}

export interface Reading extends Count {
  /** LoadBalancer; null: nobody's. */
  readonly owner: string | null;
}

export interface VipOwner extends Reported {
  /** When the configuration named it last; null: it does. Backends report late. */
  readonly goneAtMs: number | null;
}

export interface Reporter {
  readonly atMs: number;
  /** The latest first. */
  readonly epochs: readonly { readonly epoch: string; readonly sequence: bigint }[];
}

/** Who is in force. */
export interface Owners {
  /** LoadBalancer by service number. */
  readonly services: ReadonlyMap<number, string>;
  /** LoadBalancer by VIP: all LoadBalancers' VIPs, with listeners or without. */
  readonly vips: ReadonlyMap<Ip, string>;
}
