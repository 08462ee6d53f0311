import type { Ip } from '../base/ip.js';
import type { Compiled, CompiledPool } from '../compile/compiled.js';
import type { Desired } from '../config/desired.js';
import type { VipTruth } from './announce.js';

interface Serving {
  readonly healthy: number;
  readonly unknown: number;
}

/** Of every VIP in the order of the document. */
export function vipTruths(desired: Desired, compiled: Compiled): VipTruth[] {
  const best = new Map<Ip, Serving>();
  for (const { vip, listener, pool } of compiled.services.values()) {
    if (listener.stopped) continue;
    const [known, here] = [best.get(vip), servingOf(pool)];
    if (!known || isBetter(here, known)) best.set(vip, here);
  }
  return desired.loadBalancers.flatMap((loadBalancer) =>
    loadBalancer.addresses.map((vip) => {
      const { healthy, unknown } = best.get(vip) ?? { healthy: null, unknown: 0 };
      return { vip, loadBalancer, healthyBackends: healthy, unknownBackends: unknown };
    }),
  );
}

function isBetter(a: Serving, b: Serving): boolean {
  return a.healthy !== b.healthy ? a.healthy > b.healthy : a.unknown > b.unknown;
}

/** Pools that nothing happened to are the same objects from one compile to the next. */
const known = new WeakMap<CompiledPool, Serving>();

/** Drained ones count: they serve the sessions that they have. Failing open does not: it is a guess. */
function servingOf(pool: CompiledPool): Serving {
  let serving = known.get(pool);
  if (!serving) {
    const reachable = pool.backends.filter(({ problem }) => problem === '');
    const count = (...of: readonly string[]) => reachable.filter(({ health }) => of.includes(health)).length;
    serving = { healthy: count('healthy', 'unchecked'), unknown: count('unknown') };
    known.set(pool, serving);
  }
  return serving;
}
