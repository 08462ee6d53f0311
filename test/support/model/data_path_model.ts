/**
 * The whole data path over again on plain objects, one packet at a time: the oracle for bpf/lb.bpf.c. What it knows
 * of the control maps it is told (`control`); sessions and counters are its own.
 */
import {
  BackendFlags,
  PoolFlags,
  Reason,
  Schedule,
  ServiceFlags,
  SessionState,
  TableEvent,
} from '../../../src/abi/abi.generated.js';
import { type Control, vipText } from './control.js';
import { flowFingerprint, sourceFingerprint } from './fingerprint.js';
import { forwardFrame } from './forward.js';
import { type Parsed, parseFrame } from './parse.js';
import { idleTicks, type Session, SessionModel } from './session_table.js';

export interface Outcome {
  readonly verdict: 'PASS' | 'DROP' | 'TX';
  readonly frame: Buffer;
  readonly reason: number | null;
  /** 0 where the packet was no flow. */
  readonly tag: bigint;
}

export interface TrafficModel {
  packets: number;
  bytes: number;
  sessions: number;
  noSession: number;
}

interface Choice {
  backend: number;
  service: number;
  fresh: boolean;
  tracked: boolean;
}

/** A session seen within so many ticks is believed without a look at its timeout, and is not written again. */
const REFRESH_TICKS = 4;
const MAGLEV_SLOTS = 65_537n;
const TCP = 6;

export class DataPathModel {
  readonly reasons = Array.from({ length: Reason.REASON_COUNT }, () => 0);
  readonly services = new Map<number, TrafficModel>();
  readonly backends = new Map<number, TrafficModel>();
  readonly sessions: SessionModel;

  constructor(
    bucketCount: number,
    public control: Control,
    public now = 0,
  ) {
    this.sessions = new SessionModel(
      bucketCount,
      (service, state) => this.control.services[service]?.timeoutTicks[state] ?? 0,
    );
  }

  handle(frame: Buffer): Outcome {
    const packet = parseFrame(frame);
    if (typeof packet === 'number') return this.#end(packet, frame, 0n);
    if (!this.#mayBeVip(packet)) return this.#end(Reason.PASS_NOT_VIP, frame, 0n);
    if (!this.control.macs.has(frame.toString('hex', 0, 6))) return this.#end(Reason.PASS_OTHER_MAC, frame, 0n);
    if (packet.problem !== null) {
      const reason = this.#serviceOf(packet) === 'no VIP' ? Reason.PASS_NOT_VIP : packet.problem;
      return this.#end(reason, frame, 0n);
    }
    const tag = flowFingerprint(packet, this.control.key);
    const choice = this.#route(packet, tag);
    if (typeof choice === 'number') return this.#end(choice, frame, tag);
    const out = forwardFrame(frame, packet, this.control.backends[choice.backend]!, tag);
    if (typeof out === 'number') return this.#end(out, frame, tag);
    this.#count(this.services, choice.service, frame, choice);
    this.#count(this.backends, choice.backend, frame, choice);
    return { verdict: 'TX', frame: out, reason: null, tag };
  }

  #end(reason: number, frame: Buffer, tag: bigint): Outcome {
    this.reasons[reason]!++;
    return { verdict: reason < Reason.ANSWER_ECHO ? 'PASS' : 'DROP', frame, reason, tag };
  }

  #count(counts: Map<number, TrafficModel>, id: number, frame: Buffer, { fresh, tracked }: Choice): void {
    const count = counts.get(id) ?? { packets: 0, bytes: 0, sessions: 0, noSession: 0 };
    count.packets++;
    count.bytes += frame.length;
    if (fresh) count.sessions++;
    if (!tracked) count.noSession++;
    counts.set(id, count);
  }

  #mayBeVip(packet: Parsed): boolean {
    const address = mapped(packet.destination);
    const factors = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];
    const sum = factors.reduce((total, factor, i) => (total + Math.imul(address.readUInt32LE(i * 4), factor)) | 0, 0);
    const bit = sum >>> 16;
    return ((this.control.filter[bit >> 3]! >> (bit & 7)) & 1) === 1;
  }

  #serviceOf(packet: Parsed): number | 'no listener' | 'no VIP' {
    const address = mapped(packet.destination);
    const service = this.control.vips.get(vipText(address, packet.protocol, packet.destinationPort));
    if (service) return service;
    return this.control.vips.has(vipText(address, 0, 0)) ? 'no listener' : 'no VIP';
  }

  #isUp(id: number): boolean {
    return ((this.control.backends[id]?.flags ?? 0) & BackendFlags.BACKEND_UP) !== 0;
  }

  /** Session first, VIP second. */
  #route(packet: Parsed, tag: bigint): Choice | number {
    const session = this.sessions.find(tag);
    if (session && this.#holds(session, packet) && this.#isUp(session.backend)) {
      const { backend, service } = session;
      this.#touch(session, packet);
      return { backend, service, fresh: false, tracked: true };
    }
    const service = this.#serviceOf(packet);
    if (service === 'no VIP') return Reason.PASS_NOT_VIP;
    if (service === 'no listener') return Reason.DROP_NO_LISTENER;
    if (this.control.services[service]!.flags & ServiceFlags.SERVICE_STOPPED) return Reason.DROP_STOPPED;
    const selected = this.#select(packet, service, tag);
    if (typeof selected === 'number') return selected;
    const tracked = this.#remember(packet, service, tag, selected, session);
    return { backend: selected.backend, service, fresh: tracked, tracked };
  }

  #holds(session: Session, packet: Parsed): boolean {
    if (packet.flags.syn && session.state === SessionState.SESSION_CLOSING) return false;
    const idle = idleTicks(this.now, session.seen);
    return idle < REFRESH_TICKS || this.sessions.rank(session, this.now) !== 'expired';
  }

  #touch(session: Session, packet: Parsed): void {
    const before = session.state;
    if (packet.flags.ends) session.state = SessionState.SESSION_CLOSING;
    else if (before === SessionState.SESSION_YOUNG && !packet.flags.syn)
      session.state = SessionState.SESSION_ESTABLISHED;
    if (session.state !== before || idleTicks(this.now, session.seen) >= REFRESH_TICKS) session.seen = this.now;
  }

  /** During a handover, what began before the swap (no SYN, no session) still belongs to the table before. */
  #select(packet: Parsed, serviceId: number, tag: bigint): { backend: number; recordSyn: boolean } | number {
    const service = this.control.services[serviceId]!;
    const pool = this.control.pools[service.pool];
    if (!pool || !(pool.flags & PoolFlags.POOL_IN_USE)) return Reason.DROP_INTERNAL;
    const bySource = service.schedule === Schedule.SCHEDULE_SOURCE;
    const hash = bySource ? sourceFingerprint(packet, this.control.key) : tag;
    const slot = Number(((hash >> 32n) * MAGLEV_SLOTS) >> 32n);
    const backend = this.control.tables.get(pool.table)![slot]!;
    let recordSyn = false;
    if (packet.protocol === TCP && pool.table !== pool.previousTable && this.#isFuture(pool.handoverUntil)) {
      const before = this.control.tables.get(pool.previousTable)![slot]!;
      if (before !== backend && !packet.flags.syn && this.#isUp(before)) return { backend: before, recordSyn };
      recordSyn = before !== backend && packet.flags.syn;
    }
    if (backend === 0) return Reason.DROP_NO_BACKEND;
    return this.#isUp(backend) ? { backend, recordSyn } : Reason.DROP_BACKEND_DOWN;
  }

  #isFuture(tick: number): boolean {
    return (tick - this.now) >> 0 >= 0;
  }

  #remember(
    packet: Parsed,
    service: number,
    tag: bigint,
    { backend, recordSyn }: { backend: number; recordSyn: boolean },
    session: Session | null,
  ): boolean {
    if (session) {
      const state = packet.flags.ends ? SessionState.SESSION_CLOSING : SessionState.SESSION_YOUNG;
      Object.assign(session, { backend, service, seen: this.now, state });
      this.sessions.events[TableEvent.TABLE_RESELECTED]!++;
      return true;
    }
    if (packet.flags.syn ? !recordSyn : packet.flags.ends) return false;
    const detail = {
      client: mapped(packet.source).toString('hex'),
      clientPort: packet.sourcePort,
      protocol: packet.protocol,
      service,
      created: this.now,
    };
    const fresh = { tag, backend, service, seen: this.now, state: SessionState.SESSION_YOUNG, detail };
    return this.sessions.insert(fresh, this.now);
  }
}

function mapped(address: Buffer): Buffer {
  return address.length === 16 ? address : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), address]);
}
