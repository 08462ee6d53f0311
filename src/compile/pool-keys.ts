import type { CompiledPool } from './compiled.js';
import { rememberedIdentity } from './identity.js';
import { type PoolSpec, specOf } from './pool.js';
import { protocolNumber, type Tables, vipKeyText } from './tables.js';
import { type View, viewText } from './views.js';

/** How far after a restart the kernel's pools of a group are looked for. */
const MAX_ORDINAL = 64;

/**
 * A pool's key is its group and an ordinal, and the numbers of its backends, which sessions name, follow from the key.
 * So a view keeps the key in force for its listeners: neither a changed check nor another listener's coming or going
 * moves anybody's sessions. A new view takes the lowest ordinal that is free.
 */
export class PoolKeys {
  readonly #inForce: Tables;
  readonly #keyById: Map<number, string>;
  readonly #specByKey: Map<string, PoolSpec>;

  constructor(inForce: Tables, known: readonly CompiledPool[]) {
    this.#inForce = inForce;
    this.#keyById = new Map(known.map(({ id, key }) => [id, key]));
    this.#specByKey = new Map(known.map((pool) => [pool.key, specOf(pool)]));
  }

  /** Every view's key, in the order of the views. */
  assign(group: string, views: readonly View[]): Map<View, string> {
    const keys = new Map<View, string>();
    const taken = new Set<string>();
    const claim = (view: View, key: string | undefined): void => {
      if (key === undefined || keys.has(view)) return;
      taken.add(key);
      keys.set(view, key);
    };
    const held = views.map((view) => ({ view, own: this.#keysHeldBy(group, view) }));
    // Those that judge as before go first: they must not notice that another has changed.
    for (const { view, own } of held)
      claim(
        view,
        own.find((key) => !taken.has(key) && this.#judges(key, view)),
      );
    for (const { view, own } of held)
      claim(
        view,
        own.find((key) => !taken.has(key)),
      );
    let ordinal = 0;
    for (const view of views) {
      while (taken.has(`${group}/${ordinal}`)) ordinal++;
      claim(view, `${group}/${ordinal}`);
    }
    return new Map(views.map((view) => [view, keys.get(view)!]));
  }

  #judges(key: string, { text }: View): boolean {
    const spec = this.#specByKey.get(key);
    return spec !== undefined && viewText(spec) === text;
  }

  /** Of this group, in order of the view's listeners. */
  #keysHeldBy(group: string, { users }: View): string[] {
    const keys = new Set<string>();
    for (const { loadBalancer, listener } of users) {
      for (const address of loadBalancer.addresses) {
        const vip = { address, port: listener.port, protocol: protocolNumber[listener.protocol] };
        const service = this.#inForce.vips.get(vipKeyText(vip))?.service;
        const pool = service === undefined ? undefined : this.#inForce.services.get(service)?.pool;
        const key = pool === undefined ? null : this.#keyOf(pool, group);
        if (key?.startsWith(`${group}/`)) keys.add(key);
      }
    }
    return [...keys];
  }

  #keyOf(pool: number, group: string): string | null {
    const known = this.#keyById.get(pool);
    if (known !== undefined) return known;
    const identity = this.#inForce.pools.get(pool)?.identity;
    for (let ordinal = 0; identity !== undefined && ordinal < MAX_ORDINAL; ordinal++) {
      const key = `${group}/${ordinal}`;
      if (rememberedIdentity('pool', key) !== identity) continue;
      this.#keyById.set(pool, key);
      return key;
    }
    return null;
  }
}
