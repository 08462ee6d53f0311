import type { Ip } from '../base/ip.js';
import type { Compiled, CompiledPool } from '../compile/compiled.js';
import type { Desired } from '../config/desired.js';
import type { VipTruth } from './announce.js';

interface Serving {
  readonly healthy: number;
  readonly hopeful: number;
}

/** Of every VIP in the order of the document. */
export function vipTruths(desired: Desired, compiled: Compiled): VipTruth[] {
  const best = new Map<Ip, Serving>();
  for (const { vip, listener, pool } of compiled.services.values()) {
    if (listener.stopped) continue;
    const { healthy, hopeful } = servingOf(pool);
    const known = best.get(vip) ?? { healthy: 0, hopeful: 0 };
    best.set(vip, { healthy: Math.max(known.healthy, healthy), hopeful: Math.max(known.hopeful, hopeful) });
  }
  return desired.loadBalancers.flatMap((loadBalancer) =>
    loadBalancer.addresses.map((vip) => {
      const { healthy, hopeful } = best.get(vip) ?? { healthy: null, hopeful: 0 };
      return { vip, loadBalancer, healthyBackends: healthy, hopefulBackends: hopeful };
    }),
  );
}

/** Pools that nothing happened to are the same objects from one compile to the next. */
const known = new WeakMap<CompiledPool, Serving>();

/** Drained ones count: they serve the sessions that they have. Failing open does not: it is a guess. */
function servingOf(pool: CompiledPool): Serving {
  let serving = known.get(pool);
  if (!serving) {
    const reachable = pool.backends.filter(({ problem }) => problem === '');
    const unfit = (...states: readonly string[]) => reachable.filter(({ health }) => states.includes(health)).length;
    const failing = unfit('unhealthy');
    serving = { healthy: reachable.length - failing - unfit('unknown'), hopeful: reachable.length - failing };
    known.set(pool, serving);
  }
  return serving;
}
