import { LimitFlags } from '../abi/abi.generated.js';
import type { Limits, Listener, LoadBalancer } from '../config/desired.js';
import { rememberedIdentity } from './identity.js';
import type { IdSpace } from './ids.js';
import type { LimitRow } from './tables.js';

/** As in bpf/abi_types.h. */
const LIMIT_TIME_BITS = 30;

export interface LimitUser {
  readonly id: number;
  readonly loadBalancer: LoadBalancer;
  readonly listener: Listener;
}

/** A limit in the kernel, and whose it is. */
export interface CompiledLimit {
  readonly id: number;
  readonly loadBalancer: LoadBalancer;
  /** null: of the LoadBalancer as a whole. */
  readonly listener: Listener | null;
  readonly limits: Limits;
  /** Numbers of the services that it holds for. */
  readonly services: readonly number[];
  readonly row: LimitRow;
}

export interface LimitNumbers {
  readonly limits: ReadonlyMap<number, CompiledLimit>;
  readonly ofListener: ReadonlyMap<Listener, number>;
  readonly ofBalancer: ReadonlyMap<LoadBalancer, number>;
}

/** A listener with an access list has one, too: its refusals are counted there. @throws CapacityError */
export function compileLimits(
  users: readonly LimitUser[],
  { ids, tickMs }: { ids: IdSpace; tickMs: number },
): LimitNumbers {
  const limits = new Map<number, CompiledLimit>();
  const servicesOf = new Map<Listener | LoadBalancer, number[]>();
  for (const { id, loadBalancer, listener } of users) {
    for (const owner of [loadBalancer, listener]) {
      const known = servicesOf.get(owner);
      if (known) known.push(id);
      else servicesOf.set(owner, [id]);
    }
  }
  const ofListener = new Map<Listener, number>();
  const ofBalancer = new Map<LoadBalancer, number>();
  const add = (loadBalancer: LoadBalancer, listener: Listener | null): number => {
    const identity = rememberedIdentity('limit', `${loadBalancer.name}\0${listener?.name ?? ''}`);
    const id = ids.assign(identity);
    const held = (listener ?? loadBalancer).limits;
    const services = servicesOf.get(listener ?? loadBalancer)!;
    limits.set(id, { id, loadBalancer, listener, limits: held, services, row: rowOf(held, { identity, tickMs }) });
    return id;
  };
  for (const { loadBalancer, listener } of users) {
    if (!ofListener.has(listener) && (listener.accessControl !== null || isSet(listener.limits))) {
      ofListener.set(listener, add(loadBalancer, listener));
    }
    if (!ofBalancer.has(loadBalancer) && isSet(loadBalancer.limits))
      ofBalancer.set(loadBalancer, add(loadBalancer, null));
  }
  return { limits, ofListener, ofBalancer };
}

export function isSet(limits: Limits): boolean {
  return Object.values(limits).some((value) => value !== 0);
}

function rowOf(limits: Limits, { identity, tickMs }: { identity: bigint; tickMs: number }): LimitRow {
  const second = (2 ** LIMIT_TIME_BITS * 1000) / tickMs;
  const interval = (rate: number): bigint => (rate === 0 ? 0n : BigInt(Math.max(1, Math.round(second / rate))));
  return {
    identity,
    flags: LimitFlags.LIMIT_IN_USE | (isSet(limits) ? LimitFlags.LIMIT_SET : 0),
    sessions: limits.sessions,
    interval: interval(limits.newSessionsPerSecond),
    sourceInterval: interval(limits.newSessionsPerSecondPerSource),
    burst: BigInt(Math.round(second)),
  };
}
