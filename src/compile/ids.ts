import { CapacityError } from '../base/errors.js';

/**
 * Gives out the small numbers by which the maps know things, lowest free first, from 1 (0 means "none"). Numbers last
 * as long as their identity is used or, for backends, as long as a session names them.
 */
export class IdSpace {
  readonly #byIdentity = new Map<bigint, number>();
  readonly #used = new Set<number>();
  #lowest = 1;

  constructor(
    /** Setting to name when it is full. */
    readonly setting: string,
    /** Highest number + 1. */
    readonly limit: number,
  ) {}

  get size(): number {
    return this.#used.size;
  }

  find(identity: bigint): number | undefined {
    return this.#byIdentity.get(identity);
  }

  /** @throws CapacityError */
  assign(identity: bigint): number {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    while (this.#used.has(this.#lowest)) this.#lowest++;
    if (this.#lowest >= this.limit) throw new CapacityError(this.setting, this.limit - 1, this.#used.size + 1);
    this.adopt(identity, this.#lowest);
    return this.#byIdentity.get(identity)!;
  }

  /** Takes over what the kernel holds already. */
  adopt(identity: bigint, id: number): void {
    this.#byIdentity.set(identity, id);
    this.#used.add(id);
  }

  /** Keeps a number whose owner is not known from being given out; release with the same (negative) identity. */
  reserve(id: number): void {
    if (!this.#used.has(id)) this.adopt(-BigInt(id), id);
  }

  release(identity: bigint): void {
    const id = this.#byIdentity.get(identity);
    if (id === undefined) return;
    this.#byIdentity.delete(identity);
    this.#used.delete(id);
    if (id < this.#lowest) this.#lowest = id;
  }

  /** Releases every identity for which `keep` says no. */
  retain(keep: (identity: bigint, id: number) => boolean): void {
    for (const [identity, id] of [...this.#byIdentity]) if (!keep(identity, id)) this.release(identity);
  }
}

/** Listeners with QUIC configurations that no other has: what fits the 8 bits of a service's row. */
const QUIC_ROUTINGS = 256;

export interface IdLimits {
  readonly services: number;
  readonly pools: number;
  readonly backends: number;
}

/** Rows of the map, less the one that means "none": more VLANs and interfaces than a host has. */
const MAX_EGRESSES = 1023;
export function limitRows(services: number): number {
  return Math.min(2 * services + 1, 65536);
}

export class IdLedger {
  readonly services: IdSpace;
  readonly pools: IdSpace;
  readonly backends: IdSpace;
  readonly egresses = new IdSpace('interfaces', MAX_EGRESSES + 1);
  /** Of listeners and LoadBalancers: at most two for each service. */
  readonly limits: IdSpace;
  readonly quicRoutings = new IdSpace('distinct sets of QUIC configs', QUIC_ROUTINGS);

  constructor(limits: IdLimits) {
    this.services = new IdSpace('limits.services', Math.min(limits.services + 1, 65536));
    this.pools = new IdSpace('limits.backendGroups', Math.min(limits.pools + 1, 65536));
    this.limits = new IdSpace('limits.services', limitRows(limits.services));
    this.backends = new IdSpace('limits.backends', Math.min(limits.backends + 1, 65536));
  }
}
