/** Who may begin: bpf/admit.h and what it includes are what this is compared with. Time is signed, and now is 0. */
import { type Limit, LimitFlags, LimitOver, Reason, type Service } from '../../../src/abi/abi.generated.js';
import type { Control } from './control.js';
import { sourceCellsOf } from './fingerprint.js';
import type { Addresses, Parsed } from './parse.js';

const ALLOW = 0x8000_0000;
const RECEIPTS = 1n << 18n;
const RECEIPT_TICKS = 240;
const STALE_TICKS = 8;
const TICK = 1n << 30n;

/** What the kernel counts of a limit; its settings are the control's. */
export interface LimitCount {
  busyUntil: bigint;
  made: bigint;
  ended: bigint;
  readonly refused: number[];
}

interface Receipt {
  readonly tag: bigint;
  tick: number;
}

export class AdmissionModel {
  readonly counts = new Map<number, LimitCount>();
  /** By cell. */
  readonly sources = new Map<number, bigint>();
  /** By cell. */
  readonly receipts = new Map<number, Receipt>();

  constructor(
    private readonly control: () => Control,
    private readonly now: () => number,
  ) {}

  countOf(id: number): LimitCount {
    const known = this.counts.get(id);
    if (known) return known;
    const fresh = { busyUntil: 0n, made: 0n, ended: 0n, refused: [0, 0, 0, 0, 0, 0] };
    this.counts.set(id, fresh);
    return fresh;
  }

  readonly #identities = new Map<number, bigint>();

  /** After a change of the control maps: a limit that is another's begins at zero. */
  adopt(): void {
    for (const [id, { identity }] of this.control().limits.entries()) {
      if (this.#identities.get(id) === identity) continue;
      this.#identities.set(id, identity);
      this.counts.delete(id);
      if (identity !== 0n) this.countOf(id);
    }
  }

  /** Null, or the reason against it. All limits are asked before any is charged. */
  admit(packet: Parsed, tag: bigint, service: Service): number | null {
    const refusal = this.admitClient(packet, service);
    if (refusal !== null) return refusal;
    const limits = this.#limitsOf(service);
    if (limits.length === 0) return null;
    const begun = !packet.flags.syn && this.#hasReceipt(tag);
    for (const { id, limit } of limits) {
      const reason = this.#refusal(packet, { id, limit, begun });
      if (reason !== null) return this.#refuse(reason, id);
    }
    if (begun) return null;
    for (const { id, limit } of limits) {
      const count = this.countOf(id);
      if (limit.interval > 0n) count.busyUntil = ahead(count.busyUntil) + limit.interval;
      this.#chargeSource(packet, id, limit);
    }
    return null;
  }

  /** By the access list alone. */
  admitClient(packet: Addresses, service: Service): number | null {
    if (service.access === 0 || !this.#isDenied(packet, service.access)) return null;
    return this.#refuse(Reason.DROP_ACCESS_DENIED, service.listenerLimit);
  }

  /** `recorded`: the flow has a new session in a slot that was free for it. */
  settled(tag: bigint, { service, recorded }: { service: Service; recorded: boolean }): void {
    if (this.#limitsOf(service).length === 0) return;
    if (recorded) {
      this.sessions(service, { made: 1, ended: 0 });
      if (this.#hasReceipt(tag)) this.receipts.delete(cellOf(tag));
    } else {
      this.receipts.set(cellOf(tag), { tag: tag >> 16n, tick: this.now() & 0xffff });
    }
  }

  sessions(service: Service, { made, ended }: { made: number; ended: number }): void {
    for (const id of [service.listenerLimit, service.balancerLimit]) {
      if (id === 0 || this.control().limits[id]!.sessions === 0) continue;
      this.countOf(id).made += BigInt(made);
      this.countOf(id).ended += BigInt(ended);
    }
  }

  #limitsOf(service: Service): { id: number; limit: Limit }[] {
    return [service.listenerLimit, service.balancerLimit].flatMap((id) => {
      const limit = this.control().limits[id];
      return id !== 0 && limit && limit.flags & LimitFlags.LIMIT_SET ? [{ id, limit }] : [];
    });
  }

  #isDenied(packet: Addresses, access: number): boolean {
    const entries = this.control().access.get(access & 0xffff) ?? [];
    const bits = bitsOf(packet.source);
    const listed = entries.some(({ v6, prefix }) => v6 === packet.v6 && bits.startsWith(prefix));
    return access >= ALLOW ? !listed : listed;
  }

  #refuse(reason: number, id: number): number {
    this.countOf(id).refused[reason - Reason.DROP_ACCESS_DENIED]!++;
    return reason;
  }

  #hasReceipt(tag: bigint): boolean {
    const receipt = this.receipts.get(cellOf(tag));
    return receipt?.tag === tag >> 16n && ((this.now() - receipt.tick) & 0xffff) <= RECEIPT_TICKS;
  }

  #refusal(packet: Parsed, { id, limit, begun }: { id: number; limit: Limit; begun: boolean }): number | null {
    const { made, ended, busyUntil } = this.countOf(id);
    const live = Number(BigInt.asIntN(64, limit.base) + made - ended);
    const most = begun ? limit.sessions + Math.floor(limit.sessions / 4) : limit.sessions;
    if (limit.sessions > 0 && live >= most) return Reason.DROP_SESSION_LIMIT;
    if (begun) return null;
    const over = Number(limit.over >> 32n);
    const measured = Number(limit.over & 0xffff_ffffn);
    if (over !== 0 && (this.now() - measured) >>> 0 <= STALE_TICKS) {
      return over & LimitOver.LIMIT_OVER_BITS ? Reason.DROP_BANDWIDTH_LIMIT : Reason.DROP_PACKET_LIMIT;
    }
    if (limit.sourceInterval > 0n && this.#sourceAfter(packet, id, limit).level > limit.burst)
      return Reason.DROP_SOURCE_RATE;
    return limit.interval > 0n && ahead(busyUntil) + limit.interval > limit.burst ? Reason.DROP_CONNECTION_RATE : null;
  }

  #sourceAfter(packet: Parsed, id: number, limit: Limit): { cells: readonly number[]; level: bigint } {
    const { key, sourceCells } = this.control();
    const cells = sourceCellsOf(packet, { limit: id, cells: sourceCells, key });
    const levels = cells.map((cell) => this.sources.get(cell) ?? 0n);
    const [lower] = levels.sort((a, b) => (a < b ? -1 : 1));
    return { cells, level: ahead(lower!) + limit.sourceInterval };
  }

  #chargeSource(packet: Parsed, id: number, limit: Limit): void {
    if (limit.sourceInterval === 0n) return;
    const { cells, level } = this.#sourceAfter(packet, id, limit);
    for (const cell of cells) if ((this.sources.get(cell) ?? 0n) < level) this.sources.set(cell, level);
  }

  pass(ticks: number): void {
    const time = BigInt(ticks) * TICK;
    for (const count of this.counts.values()) count.busyUntil -= time;
    for (const [cell, level] of this.sources) this.sources.set(cell, level - time);
    for (const receipt of this.receipts.values()) receipt.tick = (receipt.tick - ticks) & 0xffff;
  }
}

function ahead(level: bigint): bigint {
  return level > 0n ? level : 0n;
}

function cellOf(tag: bigint): number {
  return Number(tag % RECEIPTS);
}

/** 32 or 128 characters "0" and "1". */
export function bitsOf(address: Uint8Array): string {
  return Array.from(address, (byte) => byte.toString(2).padStart(8, '0')).join('');
}
