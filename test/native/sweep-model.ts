/** What sweepSessions should do, one slot after the other, with no regard for time. */
import type { SweepOptions } from '../../src/dataplane/addon.js';

export interface Slot {
  readonly tag: bigint;
  readonly value: bigint;
}

export interface SessionValue {
  readonly backend: number;
  readonly service: number;
  readonly seen: number;
  readonly state: number;
}

/** bpf/abi_types.h, struct session_slot. */
export function packValue({ backend, service, seen, state }: SessionValue): bigint {
  return BigInt(backend) | (BigInt(service) << 16n) | (BigInt(seen) << 32n) | (BigInt(state) << 56n);
}

function unpackValue(value: bigint): SessionValue {
  return {
    backend: Number(value & 0xffffn),
    service: Number((value >> 16n) & 0xffffn),
    seen: Number((value >> 32n) & 0xffffffn),
    state: Number((value >> 56n) & 0xfn),
  };
}

type Order = Omit<SweepOptions, 'sessions'>;

function verdict(value: SessionValue, order: Order): 'keep' | 'expired' | 'purged' {
  const has = (bits: Uint8Array | null, id: number) => bits !== null && ((bits[id >> 3]! >> (id & 7)) & 1) === 1;
  if (has(order.purgeBackends, value.backend) || has(order.purgeServices, value.service)) return 'purged';
  if (!order.expire) return 'keep';
  const timeout = order.timeouts[value.service * 4 + (value.state & 3)] ?? 0;
  if (timeout === 0) return 'purged';
  const idle = (order.nowTick - value.seen) & 0xffffff;
  return idle < 0xff0000 && idle > timeout ? 'expired' : 'keep';
}

const add = (counts: Map<number, number>, id: number): Map<number, number> => counts.set(id, (counts.get(id) ?? 0) + 1);

export function modelSweep(slots: readonly Slot[], order: Order) {
  const result = {
    after: [] as Slot[],
    byState: Array<number>(16).fill(0),
    byService: new Map<number, number>(),
    openByService: new Map<number, number>(),
    byBackend: new Map<number, number>(),
    openByBackend: new Map<number, number>(),
    sourcesByService: new Map<number, number>(),
    sourcesByBackend: new Map<number, number>(),
    expired: 0,
    purged: 0,
    unfinished: [] as number[],
  };
  for (const [index, slot] of slots.entries()) {
    const value = unpackValue(slot.value);
    if (slot.tag !== 0n && value.state === 0) result.unfinished.push(index);
    const live = slot.tag !== 0n && value.state >= 1 && value.state <= 5;
    const decided = live ? verdict(value, order) : 'keep';
    if (decided === 'keep') {
      result.after.push(slot);
      if (slot.tag !== 0n) result.byState[value.state]!++;
      if (!live) continue;
      const flow = value.state <= 3;
      add(flow ? result.byService : result.sourcesByService, value.service);
      add(flow ? result.byBackend : result.sourcesByBackend, value.backend);
      if (value.state < 3) add(result.openByBackend, value.backend);
      if (value.state < 3) add(result.openByService, value.service);
    } else {
      result.after.push({ tag: 0n, value: 0n });
      result[decided]++;
    }
  }
  return result;
}
