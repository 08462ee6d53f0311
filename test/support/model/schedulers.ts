/**
 * Which backend a flow goes to that has no session: by hash, in turn, or to the least loaded. bpf/select.h and
 * bpf/turn.h are what this is compared with.
 */
import { BackendFlags, PoolFlags, Reason, Schedule } from '../../../src/abi/abi.generated.js';
import type { Control } from './control.js';
import { sourceFingerprint } from './fingerprint.js';
import type { Addresses, Parsed } from './parse.js';

export interface Selected {
  readonly backend: number;
  /** The SYN, too, has to leave a session. */
  readonly recordSyn: boolean;
}

const TCP = 6;
const SLOT_TRIES = 8;
const LEAST_MEMBERS = 64;

export class SchedulerModel {
  /** Turns taken, by pool. */
  readonly turns = new Map<number, number>();
  /** Sessions begun less those ended, by backend. */
  readonly made = new Map<number, number>();

  constructor(private readonly world: { readonly control: Control; readonly now: number }) {}

  isUp(id: number): boolean {
    return ((this.world.control.backends[id]?.flags ?? 0) & BackendFlags.BACKEND_UP) !== 0;
  }

  isUnhashed(service: number): boolean {
    const schedule = this.world.control.services[service]!.schedule;
    return schedule === Schedule.SCHEDULE_TURN || schedule === Schedule.SCHEDULE_LEAST;
  }

  countLoad(service: number, backend: number, sessions: number): void {
    if (this.world.control.services[service]!.schedule !== Schedule.SCHEDULE_LEAST) return;
    this.made.set(backend, (this.made.get(backend) ?? 0) + sessions);
  }

  select(packet: Addresses & Pick<Parsed, 'protocol' | 'flags'>, service: number, tag: bigint): Selected | number {
    const { control } = this.world;
    const { schedule, pool } = control.services[service]!;
    if (!((control.pools[pool]?.flags ?? 0) & PoolFlags.POOL_IN_USE)) return Reason.DROP_INTERNAL;
    if (this.isUnhashed(service)) {
      const begins = packet.protocol !== TCP || packet.flags.syn;
      return begins ? this.#unhashed(pool, schedule) : this.steady(pool, tag);
    }
    return this.#hashed(
      packet,
      pool,
      schedule === Schedule.SCHEDULE_SOURCE ? sourceFingerprint(packet, control.key) : tag,
    );
  }

  /** During a handover, what began before the swap (no SYN, no session) still belongs to the table before. */
  #hashed(packet: Addresses & Pick<Parsed, 'protocol' | 'flags'>, pool: number, hash: bigint): Selected | number {
    const row = this.world.control.pools[pool]!;
    const backend = this.#slotsOf(row.table, row.slots)[slotOf(hash, row.slots)]!;
    let recordSyn = false;
    if (packet.protocol === TCP && this.#inHandover(pool)) {
      const before = this.#slotsOf(row.previousTable, row.previousSlots)[slotOf(hash, row.previousSlots)]!;
      if (before !== backend && !packet.flags.syn && this.isUp(before)) return { backend: before, recordSyn };
      recordSyn = before !== backend && packet.flags.syn;
    }
    if (backend === 0) return Reason.DROP_NO_BACKEND;
    return this.isUp(backend) ? { backend, recordSyn } : Reason.DROP_BACKEND_DOWN;
  }

  #unhashed(pool: number, schedule: number): Selected | number {
    const { table, slots } = this.world.control.pools[pool]!;
    const members = this.#slotsOf(table, slots);
    if (members[0] === 0) return Reason.DROP_NO_BACKEND;
    const backend = schedule === Schedule.SCHEDULE_LEAST ? this.#least(pool, members) : this.#next(pool, members);
    return backend === undefined ? Reason.DROP_BACKEND_DOWN : { backend, recordSyn: true };
  }

  #takeTurn(pool: number, slots: number): number {
    const turn = this.turns.get(pool) ?? 0;
    this.turns.set(pool, turn + 1);
    return turn % slots;
  }

  #next(pool: number, slots: Uint16Array): number | undefined {
    for (let i = 0; i < SLOT_TRIES; i++) {
      const backend = slots[this.#takeTurn(pool, slots.length)]!;
      if (this.isUp(backend)) return backend;
    }
    return undefined;
  }

  #least(pool: number, members: Uint16Array): number | undefined {
    const first = this.#takeTurn(pool, members.length);
    const fromFirst = [...members.subarray(first), ...members.subarray(0, first)].slice(0, LEAST_MEMBERS);
    const burden = (id: number): number => {
      const sessions = Number(this.world.control.loads[id]) + (this.made.get(id) ?? 0);
      return (Math.max(0, sessions) + 1) / this.world.control.backends[id]!.weight;
    };
    const candidates = fromFirst.filter((id) => this.isUp(id));
    return candidates.reduce<number | undefined>(
      (best, id) => (best === undefined || burden(id) < burden(best) ? id : best),
      undefined,
    );
  }

  /** For a flow that no session remembers. */
  steady(pool: number, tag: bigint): Selected | number {
    const row = this.world.control.pools[pool]!;
    const slots = this.#slotsOf(row.table, row.slots);
    if (slots[0] === 0) return Reason.DROP_NO_BACKEND;
    if (this.#inHandover(pool)) {
      const before = this.#slotsOf(row.previousTable, row.previousSlots)[slotOf(tag, row.previousSlots)]!;
      if (this.isUp(before)) return { backend: before, recordSyn: true };
    }
    const first = slotOf(tag, row.slots);
    for (let i = 0; i < SLOT_TRIES; i++) {
      const backend = slots[(first + i) % slots.length]!;
      if (this.isUp(backend)) return { backend, recordSyn: true };
    }
    return Reason.DROP_BACKEND_DOWN;
  }

  #slotsOf(table: number, slots: number): Uint16Array {
    return this.world.control.tables.get(table)!.subarray(0, slots);
  }

  #inHandover(pool: number): boolean {
    const { table, previousTable, handoverUntil } = this.world.control.pools[pool]!;
    return table !== previousTable && (handoverUntil - this.world.now) >> 0 >= 0;
  }
}

function slotOf(hash: bigint, slots: number): number {
  return Number(((hash >> 32n) * BigInt(slots)) >> 32n);
}
