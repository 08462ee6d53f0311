import { type Backend as BackendRow, type Service, ServiceFlags, SessionState } from '../abi/abi.generated.js';
import { familyOf } from '../base/ip.js';
import type { BackendGroup, Desired, HealthCheck, Listener, LoadBalancer } from '../config/desired.js';
import type { Compiled, CompiledBackend, CompiledPool, CompiledService, CompileOptions, Dirty, Observed } from './compiled.js';
import { identityOf } from './identity.js';
import type { IdLedger } from './ids.js';
import { compilePool, type PoolSpec } from './pool.js';
import { type PoolRow, type VipRow, vipKeyText } from './tables.js';

/** A connection that has sent one packet only, and one that has said FIN or RST, are forgotten after this. */
const YOUNG_MS = 60_000;
const CLOSING_MS = 30_000;

export const protocolNumber = { tcp: 6, udp: 17 } as const;

/** The result before, for taking over pools that nothing touched; full and incremental results are equal. */
export interface Previous {
  readonly compiled: Compiled;
  readonly dirty: Dirty;
}

/** Pure and complete: the tables that the kernel should hold. @throws CapacityError */
export function compile(
  desired: Desired,
  observed: Observed,
  ids: IdLedger,
  options: CompileOptions & { previous?: Previous },
): Compiled {
  const specs = poolSpecs(desired);
  const before = new Map((options.previous?.compiled.pools ?? []).map((pool) => [pool.key, pool]));
  const pools = new Map<string, CompiledPool>();
  for (const spec of specs.byKey.values()) {
    const known = before.get(spec.key);
    const same = known && specs.unchanged(spec, known) && !touched(known, options.previous!.dirty);
    pools.set(spec.key, same ? known : remember(spec, compilePool(spec, observed, ids)));
  }
  const services = new Map<number, CompiledService>();
  const vips = new Map<string, VipRow>();
  const stoppedServices = new Set<number>();
  for (const { loadBalancer, listener, poolKey } of specs.uses) {
    for (const vip of loadBalancer.addresses) {
      const protocol = protocolNumber[listener.protocol];
      const id = ids.services.assign(identityOf('service', String(protocol), vip, String(listener.port)));
      services.set(id, { id, vip, loadBalancer, listener, pool: pools.get(poolKey)! });
      if (listener.stopped) stoppedServices.add(id);
      addVip(vips, { address: vip, port: listener.port, protocol, service: id });
    }
  }
  for (const { addresses } of desired.loadBalancers) {
    for (const address of addresses) addVip(vips, { address, port: 0, protocol: 0, service: 0 });
  }
  const { rows, backends } = collectBackends(pools, options.previous?.compiled);
  return {
    tables: {
      vips,
      services: new Map([...services].map(([id, service]) => [id, serviceRow(service, options.tickMs)])),
      pools: new Map([...pools.values()].map((pool): [number, PoolRow] => [pool.id, pool.row])),
      backends: rows,
    },
    pools: [...pools.values()],
    services,
    backends,
    stoppedServices,
  };
}

function addVip(vips: Map<string, VipRow>, row: VipRow): void {
  vips.set(vipKeyText(row), row);
}

/** With nothing changed but a few pools, the maps of all backends are copied and patched rather than built anew. */
function collectBackends(
  pools: ReadonlyMap<string, CompiledPool>,
  previous: Compiled | undefined,
): { rows: Map<number, BackendRow>; backends: Map<number, CompiledBackend> } {
  const rows = new Map(previous?.tables.backends);
  const backends = new Map(previous?.backends);
  const kept = new Set(previous?.pools);
  const now = new Set(pools.values());
  for (const pool of previous?.pools ?? []) {
    if (now.has(pool)) continue;
    for (const { id } of pool.backends) {
      rows.delete(id);
      backends.delete(id);
    }
  }
  for (const pool of now) {
    if (kept.has(pool)) continue;
    for (const backend of pool.backends) {
      rows.set(backend.id, backend.row);
      backends.set(backend.id, backend);
    }
  }
  return { rows, backends };
}

function touched(pool: CompiledPool, dirty: Dirty): boolean {
  if (dirty.healthKeys.size === 0 && dirty.addresses.size === 0) return false;
  return pool.backends.some(({ checkKey, backend }) => dirty.healthKeys.has(checkKey) || dirty.addresses.has(backend.address));
}

const specOf = new WeakMap<CompiledPool, PoolSpec>();

function remember(spec: PoolSpec, pool: CompiledPool): CompiledPool {
  specOf.set(pool, spec);
  return pool;
}

interface PoolUse {
  readonly loadBalancer: LoadBalancer;
  readonly listener: Listener;
  readonly poolKey: string;
}

/**
 * Listeners that judge a group alike share a pool. Its key is the group and the ordinal of that judgement among the
 * group's listeners in order of name, so that a changed check keeps the numbers of backends, and with them sessions.
 */
function poolSpecs(desired: Desired): {
  byKey: ReadonlyMap<string, PoolSpec>;
  uses: readonly PoolUse[];
  unchanged: (spec: PoolSpec, pool: CompiledPool) => boolean;
} {
  const groups = new Map(desired.backendGroups.map((group) => [group.name, group]));
  const views = new Map<string, Map<string, PoolSpec>>();
  const byKey = new Map<string, PoolSpec>();
  const uses: PoolUse[] = [];
  const listeners = desired.loadBalancers
    .flatMap((loadBalancer) => loadBalancer.listeners.map((listener) => ({ loadBalancer, listener })))
    .sort((a, b) => compareText(a.loadBalancer.name, b.loadBalancer.name) || compareText(a.listener.name, b.listener.name));
  for (const { loadBalancer, listener } of listeners) {
    const group = groups.get(listener.backendGroup)!;
    const view = viewOf(listener, loadBalancer, group);
    let known = views.get(group.name);
    if (!known) {
      known = new Map();
      views.set(group.name, known);
    }
    let spec = known.get(view.text);
    if (!spec) {
      spec = { ...view.spec, key: `${group.name}/${known.size}` };
      known.set(view.text, spec);
      byKey.set(spec.key, spec);
    }
    uses.push({ loadBalancer, listener, poolKey: spec.key });
  }
  const unchanged = (spec: PoolSpec, pool: CompiledPool): boolean => {
    const before = specOf.get(pool);
    return before !== undefined && before.group === spec.group && viewText(before) === viewText(spec);
  };
  return { byKey, uses, unchanged };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function viewOf(
  listener: Listener,
  loadBalancer: LoadBalancer,
  group: BackendGroup,
): { text: string; spec: Omit<PoolSpec, 'key'> } {
  const check: HealthCheck | null = listener.healthCheck && {
    ...listener.healthCheck,
    port: listener.healthCheck.port || listener.port,
  };
  const toVip = check?.target === 'VIP';
  const spec = {
    group,
    check,
    allUnhealthy: listener.allUnhealthy,
    vip4: toVip ? (loadBalancer.addresses.find((ip) => familyOf(ip) === 4) ?? null) : null,
    vip6: toVip ? (loadBalancer.addresses.find((ip) => familyOf(ip) === 6) ?? null) : null,
  };
  return { text: viewText(spec), spec };
}

function viewText({ check, allUnhealthy, vip4, vip6 }: Omit<PoolSpec, 'key' | 'group'>): string {
  const probe = check?.probe;
  const bytes = probe?.kind === 'udp' ? `${Buffer.from(probe.request).toString('hex')}/${Buffer.from(probe.expectedReply).toString('hex')}` : '';
  return JSON.stringify([check && { ...check, probe: { ...probe, request: 0, expectedReply: 0 } }, bytes, allUnhealthy, vip4, vip6]);
}

function serviceRow({ listener, pool, vip }: CompiledService, tickMs: number): Service {
  const ticks = (ms: number): number => Math.max(1, Math.min(0xffff, Math.round(ms / tickMs)));
  const timeoutTicks = [0, 0, 0, 0];
  timeoutTicks[SessionState.SESSION_YOUNG] = ticks(Math.min(YOUNG_MS, listener.sessionTimeoutMs));
  timeoutTicks[SessionState.SESSION_ESTABLISHED] = ticks(listener.sessionTimeoutMs);
  timeoutTicks[SessionState.SESSION_CLOSING] = ticks(Math.min(CLOSING_MS, listener.sessionTimeoutMs));
  return {
    pool: pool.id,
    flags:
      ServiceFlags.SERVICE_IN_USE |
      (listener.scheduler === 'SCH' ? ServiceFlags.SERVICE_SOURCE_HASH : 0) |
      (listener.stopped ? ServiceFlags.SERVICE_STOPPED : 0),
    timeoutTicks,
    identity: identityOf('service', String(protocolNumber[listener.protocol]), vip, String(listener.port)),
  };
}
