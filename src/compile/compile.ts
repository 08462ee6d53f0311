import {
  type Backend as BackendRow,
  Schedule,
  type Service,
  ServiceFlags,
  SessionState,
} from '../abi/abi.generated.js';
import { CapacityError, InvalidError } from '../base/errors.js';
import type { Desired, Listener } from '../config/desired.js';
import { compileAccess } from './access.js';
import type {
  Compiled,
  CompiledBackend,
  CompiledPool,
  CompiledService,
  CompileOptions,
  Dirty,
  Observed,
} from './compiled.js';
import { egressRows } from './egress.js';
import { serviceIdentity } from './identity.js';
import type { IdLedger } from './ids.js';
import { compileLimits } from './limits.js';
import { compilePool, type PoolSpec, specOf } from './pool.js';
import { PooledRows } from './pooled.js';
import { type QuicRoutingRow, type QuicServerRow, quicRoutingOf, quicServerKeyText } from './quic.js';
import { emptyTables, type PoolRow, protocolNumber, type Tables, type VipRow, vipKeyText } from './tables.js';
import { viewsOf, viewText } from './views.js';

/** A connection that has sent one packet only, and one that has said FIN or RST, are forgotten after this. */
const YOUNG_MS = 60_000;
const CLOSING_MS = 30_000;

export { protocolNumber };

/** The result before, for taking over pools that nothing touched; full and incremental results are equal. */
export interface Previous {
  readonly compiled: Compiled;
  readonly dirty: Dirty;
}

/**
 * Pure and complete: the tables that the kernel should hold. `inForce`: those that it holds; pools keep the numbers
 * that they have there. @throws CapacityError, InvalidError
 */
export function compile(
  desired: Desired,
  observed: Observed,
  ids: IdLedger,
  options: CompileOptions & { previous?: Previous; inForce?: Tables },
): Compiled {
  const inForce = options.inForce ?? emptyTables;
  const known = options.previous?.compiled.pools ?? [];
  const { specs, uses } = viewsOf(desired, inForce, known);
  const before = new Map(known.map((pool) => [pool.key, pool]));
  const zone = options.zone ?? '';
  const pools = new Map<string, CompiledPool>();
  for (const spec of specs) {
    const old = before.get(spec.key);
    const same =
      old?.zone === zone &&
      sameSpec(specOf(old), spec) &&
      !touched(old, options.previous!.dirty) &&
      !isDue(old, observed);
    pools.set(spec.key, same ? old : compilePool(spec, observed, { ids, zone }));
  }
  const services = new Map<number, CompiledService>();
  const vips = new Map<string, VipRow>();
  const stoppedServices = new Set<number>();
  const quic = new QuicTables(ids);
  for (const { loadBalancer, listener, poolKey } of uses) {
    if (listener.scheduler === 'QCH') quic.addServers(pools.get(poolKey)!);
    for (const vip of loadBalancer.addresses) {
      const protocol = protocolNumber[listener.protocol];
      const id = ids.services.assign(serviceIdentity(listener, vip));
      services.set(id, { id, vip, loadBalancer, listener, pool: pools.get(poolKey)!, quic: quic.of(listener) });
      if (listener.stopped) stoppedServices.add(id);
      addVip(vips, { address: vip, port: listener.port, protocol, service: id });
    }
  }
  for (const { addresses } of desired.loadBalancers) {
    for (const address of addresses) addVip(vips, { address, port: 0, protocol: 0, service: 0 });
  }
  const { access, words } = compileAccess([...services.values()], desired.accessLists, inForce);
  const numbers = compileLimits([...services.values()], { ids: ids.limits, tickMs: options.tickMs });
  const admissionOf = ({ id, listener, loadBalancer }: CompiledService): Admission => ({
    access: words.get(id) ?? 0,
    listenerLimit: numbers.ofListener.get(listener) ?? 0,
    balancerLimit: numbers.ofBalancer.get(loadBalancer) ?? 0,
  });
  const previous = options.previous?.compiled.backends;
  const backends = previous ? previous.next(pools.values()) : PooledRows.of(pools.values());
  return {
    tables: {
      vips,
      services: new Map(
        [...services].map(([id, service]) => [id, serviceRow(service, options.tickMs, admissionOf(service))]),
      ),
      pools: new Map([...pools.values()].map((pool): [number, PoolRow] => [pool.id, pool.row])),
      backends: backends.as(rowOf),
      egresses: egressRows(pools.values(), observed, { ids, inForce }),
      access,
      limits: new Map([...numbers.limits].map(([id, { row }]) => [id, row])),
      quicRoutings: quic.routings,
      quicServers: quic.servers,
    },
    pools: [...pools.values()],
    services,
    backends,
    limits: numbers.limits,
    stoppedServices,
  };
}

type Admission = Pick<Service, 'access' | 'listenerLimit' | 'balancerLimit'>;
/** What listeners with the scheduler QCH need beside what others do. */
class QuicTables {
  readonly routings = new Map<number, QuicRoutingRow>();
  readonly servers = new Map<string, QuicServerRow>();

  constructor(private readonly ids: IdLedger) {}

  /** The number of the listener's configurations; 0: it has none. @throws InvalidError */
  of({ scheduler, quic }: Listener): number {
    if (scheduler !== 'QCH' || quic.length === 0) return 0;
    const row = quicRoutingOf(quic);
    const id = this.#numberOf(row);
    this.routings.set(id, row);
    return id;
  }

  #numberOf({ recipe }: QuicRoutingRow): number {
    try {
      return this.ids.quicRoutings.assign(recipe);
    } catch (error) {
      if (!(error instanceof CapacityError)) throw error;
      const description = `${error.wanted} different sets of QUIC configs, ${error.limit} are possible: let listeners share one`;
      throw new InvalidError([{ field: 'loadBalancers', description }]);
    }
  }

  addServers({ id: pool, backends }: CompiledPool): void {
    for (const { id, backend } of backends) {
      if (backend.quicServerId.length === 0) continue;
      const row = { pool, serverId: backend.quicServerId, backend: id };
      this.servers.set(quicServerKeyText(row), row);
    }
  }
}

/** Not a closure of compile(): its context would hold the result before, which holds the one before that, and so on. */
function rowOf({ row }: CompiledBackend): BackendRow {
  return row;
}

function addVip(vips: Map<string, VipRow>, row: VipRow): void {
  vips.set(vipKeyText(row), row);
}

function sameSpec(a: PoolSpec, b: PoolSpec): boolean {
  return a.group === b.group && viewText(a) === viewText(b);
}

function touched(pool: CompiledPool, dirty: Dirty): boolean {
  if (dirty.healthKeys.size === 0 && dirty.addresses.size === 0) return false;
  return pool.backends.some(
    ({ checkKey, backend }) => dirty.healthKeys.has(checkKey) || dirty.addresses.has(backend.address),
  );
}

function isDue({ nextChangeMs }: CompiledPool, { nowMs = 0 }: Observed): boolean {
  return nextChangeMs !== null && nowMs >= nextChangeMs;
}

const scheduleOf = {
  TCH: Schedule.SCHEDULE_TUPLE,
  SCH: Schedule.SCHEDULE_SOURCE,
  WRR: Schedule.SCHEDULE_TURN,
  RR: Schedule.SCHEDULE_TURN,
  WLC: Schedule.SCHEDULE_LEAST,
  QCH: Schedule.SCHEDULE_QUIC,
} as const;

function serviceRow(
  { listener, loadBalancer, pool, vip, quic }: CompiledService,
  tickMs: number,
  admission: Admission,
): Service {
  const ticks = (ms: number): number => Math.max(1, Math.min(0xffff, Math.round(ms / tickMs)));
  const timeoutTicks = [0, 0, 0, 0];
  timeoutTicks[SessionState.SESSION_SOURCE & 3] = listener.sourcePersistenceMs && ticks(listener.sourcePersistenceMs);
  timeoutTicks[SessionState.SESSION_YOUNG] = ticks(Math.min(YOUNG_MS, listener.sessionTimeoutMs));
  timeoutTicks[SessionState.SESSION_ESTABLISHED] = ticks(listener.sessionTimeoutMs);
  timeoutTicks[SessionState.SESSION_CLOSING] = ticks(Math.min(CLOSING_MS, listener.sessionTimeoutMs));
  return {
    pool: pool.id,
    flags: ServiceFlags.SERVICE_IN_USE | (listener.stopped ? ServiceFlags.SERVICE_STOPPED : 0),
    timeoutTicks,
    schedule: scheduleOf[listener.scheduler],
    quic,
    maxSegment: loadBalancer.maxSegmentSize,
    identity: serviceIdentity(listener, vip),
    ...admission,
  };
}
