/**
 * The whole data path over again on plain objects, one packet at a time: the oracle for bpf/lb.bpf.c. What it knows
 * of the control maps it is told (`control`); sessions and counters are its own.
 */
import { Reason, ServiceFlags, SessionState, TableEvent } from '../../../src/abi/abi.generated.js';
import { type Control, vipText } from './control.js';
import { flowFingerprint } from './fingerprint.js';
import { forwardFrame } from './forward.js';
import { egressOf, leaveBy } from './leave.js';
import { mapped, type Parsed, parseFrame } from './parse.js';
import { PersistenceModel } from './persistence.js';
import { SchedulerModel } from './schedulers.js';
import { idleTicks, type Session, SessionModel } from './session_table.js';

export interface Outcome {
  readonly verdict: 'PASS' | 'DROP' | 'TX' | 'REDIRECT';
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

export class DataPathModel {
  readonly reasons = Array.from({ length: Reason.REASON_COUNT }, () => 0);
  readonly services = new Map<number, TrafficModel>();
  readonly backends = new Map<number, TrafficModel>();
  readonly sessions: SessionModel;
  readonly schedulers = new SchedulerModel(this);
  readonly persistence: PersistenceModel;

  constructor(
    bucketCount: number,
    public control: Control,
    public now = 0,
  ) {
    this.sessions = new SessionModel(
      bucketCount,
      (service, state) => this.control.services[service]?.timeoutTicks[state] ?? 0,
    );
    this.persistence = new PersistenceModel(this, this.sessions);
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
    const backend = this.control.backends[choice.backend]!;
    const egress = egressOf(backend, this.control);
    const out = forwardFrame(frame, packet, backend, tag);
    if (typeof out === 'number') return this.#end(out, frame, tag);
    if (egress === undefined) return this.#end(Reason.DROP_EGRESS, frame, tag);
    this.#count(this.services, choice.service, frame, choice);
    this.#count(this.backends, choice.backend, frame, choice);
    return { ...leaveBy(egress, out, packet), reason: null, tag };
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

  /** Session first, VIP second. */
  #route(packet: Parsed, tag: bigint): Choice | number {
    const session = this.sessions.find(tag);
    if (session && this.#holds(session, packet) && this.schedulers.isUp(session.backend)) {
      const { backend, service } = session;
      this.#touch(session, packet);
      return { backend, service, fresh: false, tracked: true };
    }
    const service = this.#serviceOf(packet);
    if (service === 'no VIP') return Reason.PASS_NOT_VIP;
    if (service === 'no listener') return Reason.DROP_NO_LISTENER;
    if (this.control.services[service]!.flags & ServiceFlags.SERVICE_STOPPED) return Reason.DROP_STOPPED;
    return this.#choose(packet, service, tag, session);
  }

  #choose(packet: Parsed, service: number, tag: bigint, session: Session | null): Choice | number {
    const { schedulers, persistence } = this;
    const persistent = persistence.isPersistent(service);
    const remembered = persistent ? persistence.backendOf(packet, service) : null;
    const selected =
      remembered === null ? schedulers.select(packet, service, tag) : { backend: remembered, recordSyn: true };
    if (typeof selected === 'number') return selected;
    const recordSyn = selected.recordSyn || persistent;
    const tracked = this.#remember(packet, service, tag, { ...selected, recordSyn }, session);
    let choice: { backend: number } | number = selected;
    if (tracked) schedulers.countLoad(service, selected.backend, 1);
    else if (remembered === null && schedulers.isUnhashed(service)) {
      choice = schedulers.steady(this.control.services[service]!.pool, tag);
    }
    if (typeof choice === 'number') return choice;
    if (persistent && leavesSession(packet, recordSyn)) persistence.remember(packet, service, choice.backend);
    return { backend: choice.backend, service, fresh: tracked, tracked };
  }

  #holds(session: Session, packet: Parsed): boolean {
    if (packet.flags.syn && session.state === SessionState.SESSION_CLOSING) return false;
    const idle = idleTicks(this.now, session.seen);
    return idle < REFRESH_TICKS || this.sessions.rank(session, this.now) !== 'expired';
  }

  #touch(session: Session, packet: Parsed): void {
    const { state: before, service, backend } = session;
    if (packet.flags.ends) session.state = SessionState.SESSION_CLOSING;
    else if (before === SessionState.SESSION_YOUNG && !packet.flags.syn)
      session.state = SessionState.SESSION_ESTABLISHED;
    const changed = session.state !== before;
    if (!changed && idleTicks(this.now, session.seen) < REFRESH_TICKS) return;
    session.seen = this.now;
    if (changed && session.state === SessionState.SESSION_CLOSING) this.schedulers.countLoad(service, backend, -1);
    if (session.state === SessionState.SESSION_ESTABLISHED && this.persistence.isPersistent(service)) {
      this.persistence.confirm(packet, service, { backend, newlyEstablished: changed });
    }
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
    if (!leavesSession(packet, recordSyn)) return false;
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

function leavesSession({ flags }: Parsed, recordSyn: boolean): boolean {
  return flags.syn ? recordSyn : !flags.ends;
}
