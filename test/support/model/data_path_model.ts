/**
 * The whole data path over again on plain objects, one packet at a time: the oracle for bpf/lb.bpf.c. What it knows
 * of the control maps it is told (`control`); sessions and counters are its own.
 */
import { Reason, Schedule, ServiceFlags, SessionState, TableEvent } from '../../../src/abi/abi.generated.js';
import { AdmissionModel } from './admission.js';
import { type Control, vipText } from './control.js';
import { datagramFingerprint, type FlowParts, flowFingerprint, quicFallbackTag } from './fingerprint.js';
import { forwardFrame } from './forward.js';
import { FragmentModel } from './fragments.js';
import { echoReply, icmpKind, isPlainEcho, mayBeTold, type QuotedFlow, quotedFlow, tooBig } from './icmp.js';
import { egressOf, leaveBy } from './leave.js';
import { type Addresses, mapped, type Parsed, parseFrame } from './parse.js';
import { PersistenceModel } from './persistence.js';
import { QuicModel } from './quic.js';
import { SchedulerModel } from './schedulers.js';
import { lowerSegment } from './segment.js';
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
  /** Where it is another than the flow's own. */
  tag?: bigint;
  backend: number;
  service: number;
  fresh: boolean;
  tracked: boolean;
}

/** A session seen within so many ticks is believed without a look at its timeout, and is not written again. */
const REFRESH_TICKS = 4;
/** What is as long goes to no agent. */
const EARLY_BYTES = 2048;
/** Whose answer depends on the packet alone. */
const pureSchedules: readonly number[] = [Schedule.SCHEDULE_TUPLE, Schedule.SCHEDULE_SOURCE, Schedule.SCHEDULE_QUIC];

export class DataPathModel {
  readonly reasons = Array.from({ length: Reason.REASON_COUNT }, () => 0);
  readonly services = new Map<number, TrafficModel>();
  readonly backends = new Map<number, TrafficModel>();
  readonly sessions: SessionModel;
  readonly schedulers = new SchedulerModel(this);
  readonly persistence: PersistenceModel;
  readonly fragments: FragmentModel;
  /** Frames that the agent was given, in order. */
  readonly early: Buffer[] = [];
  /** In this tick. */
  #spent = { echoes: 0, errors: 0, fragments: 0 };
  readonly admission = new AdmissionModel(
    () => this.control,
    () => this.now,
  );
  readonly #quic = new QuicModel(this);

  constructor(
    bucketCount: number,
    public control: Control,
    public now = 0,
    fragmentBuckets = 1024,
  ) {
    this.fragments = new FragmentModel(fragmentBuckets);
    this.admission.adopt();
    this.sessions = new SessionModel(
      bucketCount,
      (service, state) => this.control.services[service]?.timeoutTicks[state] ?? 0,
    );
    this.persistence = new PersistenceModel(this, this.sessions);
  }

  handle(frame: Buffer): Outcome {
    const packet = parseFrame(frame);
    if (typeof packet === 'number') return this.#end(packet, frame);
    if (!this.#mayBeVip(packet)) return this.#end(Reason.PASS_NOT_VIP, frame);
    if (!this.control.macs.has(frame.toString('hex', 0, 6))) return this.#end(Reason.PASS_OTHER_MAC, frame);
    if (packet.problem !== null || packet.kind !== 'flow') {
      const vip = this.#serviceOf(packet, { ...packet, sourcePort: 0, destinationPort: 0 });
      if (vip === 'no VIP') return this.#end(Reason.PASS_NOT_VIP, frame);
    }
    if (packet.problem !== null) return this.#end(packet.problem, frame);
    switch (packet.kind) {
      case 'flow':
        return this.#flow(frame, packet);
      case 'icmp':
        return this.#icmp(frame, packet);
      case 'later fragment':
        return this.#laterFragment(frame, packet);
    }
  }

  #flow(frame: Buffer, packet: Parsed): Outcome {
    const flowTag = flowFingerprint(packet, packet, this.control.key);
    const choice = this.#route(frame, packet, flowTag);
    const tag = typeof choice === 'object' && choice.tag ? choice.tag : flowTag;
    if (typeof choice === 'number') return this.#end(choice, frame, tag);
    if (packet.fragment === 'none') return { ...this.#deliver(frame, packet, choice, tag), tag };
    const datagram = datagramFingerprint(packet, this.control.key);
    this.fragments.remember({ ...choice, tag: datagram, seen: this.now }, this.now);
    return { ...this.#deliver(frame, packet, choice, datagram), tag };
  }

  #icmp(frame: Buffer, packet: Parsed): Outcome {
    const kind = icmpKind(frame, packet);
    if (kind === 'echo') return this.#echo(frame, packet);
    if (kind === 'neighbour') return this.#end(Reason.PASS_NEIGHBOR, frame);
    if (kind === 'other') return this.#end(Reason.DROP_ICMP, frame);
    const flow = quotedFlow(frame, packet);
    if (typeof flow === 'number') return this.#end(flow, frame);
    const tag = flowFingerprint(flow, flow, this.control.key);
    const owner = this.#ownerOf(flow, tag);
    if (typeof owner === 'number') return this.#end(owner, frame, tag);
    return this.#deliver(frame, packet, owner, owner.tag ?? tag);
  }

  #echo(frame: Buffer, packet: Parsed): Outcome {
    const { echoes } = this.control.allowances;
    if (echoes === 0 || !isPlainEcho(packet)) return this.#end(Reason.DROP_ICMP, frame);
    if (this.#spent.echoes++ >= echoes) return this.#end(Reason.DROP_ECHO_RATE, frame);
    return this.#end(Reason.ANSWER_ECHO, echoReply(frame, packet));
  }

  #laterFragment(frame: Buffer, packet: Parsed): Outcome {
    const datagram = datagramFingerprint(packet, this.control.key);
    const known = this.fragments.find(datagram, this.now);
    if (known) {
      const choice = { backend: known.backend, service: known.service, fresh: false, tracked: true };
      if (this.schedulers.isUp(known.backend)) return this.#deliver(frame, packet, choice, datagram);
      return this.#end(Reason.DROP_BACKEND_DOWN, frame);
    }
    if (frame.length >= EARLY_BYTES || this.#spent.fragments++ >= this.control.allowances.fragments)
      return this.#end(Reason.DROP_FRAGMENT, frame);
    this.early.push(frame);
    return this.#end(Reason.DROP_FRAGMENT_EARLY, frame);
  }

  #deliver(frame: Buffer, packet: Parsed, choice: Choice, tag: bigint): Outcome {
    const backend = this.control.backends[choice.backend]!;
    const { maxSegment } = this.control.services[choice.service]!;
    const sent = packet.flags.syn && maxSegment > 0 ? lowerSegment(frame, packet, maxSegment) : frame;
    const egress = egressOf(backend, this.control);
    const out = forwardFrame(sent, packet, backend, tag);
    if (out === Reason.DROP_TOO_BIG) return this.#tooBig(frame, packet, backend.mtu - backend.outerBytes);
    if (typeof out === 'number') return this.#end(out, frame);
    if (egress === undefined) return this.#end(Reason.DROP_EGRESS, frame);
    this.#count(this.services, choice.service, frame, choice);
    this.#count(this.backends, choice.backend, frame, choice);
    return { ...leaveBy(egress, out, packet), reason: null, tag };
  }

  #tooBig(frame: Buffer, packet: Parsed, mtu: number): Outcome {
    const told = mayBeTold(packet, mtu) && this.#spent.errors++ < this.control.allowances.errors;
    return told ? this.#end(Reason.ANSWER_TOO_BIG, tooBig(frame, packet, mtu)) : this.#end(Reason.DROP_TOO_BIG, frame);
  }

  /** Time passes: everything remembered becomes older, and what may be done in a tick may be done again. */
  pass(ticks: number): void {
    this.sessions.pass(ticks);
    this.fragments.pass(ticks);
    this.admission.pass(ticks);
    this.#spent = { echoes: 0, errors: 0, fragments: 0 };
  }

  #end(reason: number, frame: Buffer, tag = 0n): Outcome {
    this.reasons[reason]!++;
    const verdict = reason < Reason.ANSWER_ECHO ? 'PASS' : reason < Reason.DROP_NO_LISTENER ? 'TX' : 'DROP';
    return { verdict, frame, reason, tag };
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

  #serviceOf({ destination }: Addresses, flow: FlowParts): number | 'no listener' | 'no VIP' {
    const address = mapped(destination);
    const service = this.control.vips.get(vipText(address, flow.protocol, flow.destinationPort));
    if (service) return service;
    return this.control.vips.has(vipText(address, 0, 0)) ? 'no listener' : 'no VIP';
  }

  /** Session first, VIP second. */
  #route(frame: Buffer, packet: Parsed, tag: bigint): Choice | number {
    const session = this.sessions.find(tag);
    const known = session !== null && this.#holds(session, packet);
    const followed = known ? this.#follow(packet, session) : null;
    if (followed) return followed;
    const service = this.#serviceOf(packet, packet);
    if (service === 'no VIP') return Reason.PASS_NOT_VIP;
    if (service === 'no listener') return Reason.DROP_NO_LISTENER;
    if (this.control.services[service]!.flags & ServiceFlags.SERVICE_STOPPED) return Reason.DROP_STOPPED;
    if (this.control.services[service]!.schedule === Schedule.SCHEDULE_QUIC) {
      return this.#routeQuic(frame, packet, service, quicFallbackTag(tag));
    }
    return this.#admit(packet, service, tag, known) ?? this.#choose(packet, service, tag, session);
  }

  /** Null: the session's backend is down. */
  #follow(packet: Parsed, session: Session): Choice | null {
    if (!this.schedulers.isUp(session.backend)) return null;
    const { backend, service, state } = session;
    this.#touch(session, packet);
    const closed = state !== session.state && session.state === SessionState.SESSION_CLOSING;
    if (closed) this.admission.sessions(this.control.services[service]!, { made: 0, ended: 1 });
    return { backend, service, fresh: false, tracked: true };
  }

  /** What has a session is no new flow, even when its backend is down. */
  #admit(packet: Parsed, service: number, tag: bigint, known: boolean): number | null {
    return known ? null : this.admission.admit(packet, tag, this.control.services[service]!);
  }

  /** The connection id first: no session stands against it, and none is made. */
  #routeQuic(frame: Buffer, packet: Parsed, service: number, tag: bigint): Choice | number {
    const named = this.#quic.backendOf(frame, packet, service);
    if (named !== null && this.schedulers.isUp(named)) {
      const refusal = this.admission.admitClient(packet, this.control.services[service]!);
      return refusal ?? { backend: named, service, fresh: false, tracked: false };
    }
    const session = this.sessions.find(tag);
    const known = session !== null && this.#holds(session, packet);
    const followed = known ? this.#follow(packet, session) : null;
    const choice = followed ?? this.#admit(packet, service, tag, known) ?? this.#choose(packet, service, tag, session);
    return typeof choice === 'number' ? choice : { ...choice, tag };
  }

  #choose(packet: Parsed, service: number, tag: bigint, session: Session | null): Choice | number {
    const { schedulers, persistence } = this;
    const persistent = persistence.isPersistent(service);
    const remembered = persistent ? persistence.backendOf(packet, service) : null;
    const isQuic = this.control.services[service]!.schedule === Schedule.SCHEDULE_QUIC;
    const hash = isQuic ? quicFallbackTag(tag) : tag;
    const selected =
      remembered === null ? schedulers.select(packet, service, hash) : { backend: remembered, recordSyn: true };
    if (typeof selected === 'number') return selected;
    const recordSyn = selected.recordSyn || persistent;
    const tracked = this.#remember(packet, service, tag, { ...selected, recordSyn }, session);
    if (!session) this.admission.settled(tag, { service: this.control.services[service]!, recorded: tracked });
    let choice: { backend: number } | number = selected;
    if (tracked) schedulers.countLoad(service, selected.backend, 1);
    else if (remembered === null && schedulers.isUnhashed(service)) {
      choice = schedulers.steady(this.control.services[service]!.pool, tag);
    }
    if (typeof choice === 'number') return choice;
    if (persistent && leavesSession(packet, recordSyn)) persistence.remember(packet, service, choice.backend);
    return { backend: choice.backend, service, fresh: tracked, tracked };
  }

  /** By session, which it does not keep alive; else by the scheduler where it always gives the same answer. */
  #ownerOf(flow: QuotedFlow, tag: bigint): Choice | number {
    const quiet = { ...flow, flags: { syn: false, ends: false } };
    const known = this.#ownerBySession(quiet, tag);
    if (known) return known;
    const service = this.#serviceOf(flow, flow);
    if (typeof service !== 'number') return Reason.DROP_ICMP_NO_FLOW;
    if (this.control.services[service]!.flags & ServiceFlags.SERVICE_STOPPED) return Reason.DROP_STOPPED;
    if (this.persistence.isPersistent(service)) return Reason.DROP_ICMP_NO_FLOW;
    const refusal = this.admission.admitClient(flow, this.control.services[service]!);
    if (refusal !== null) return refusal;
    if (!pureSchedules.includes(this.control.services[service]!.schedule)) return Reason.DROP_ICMP_NO_FLOW;
    const other = quicFallbackTag(tag);
    const isQuic = this.control.services[service]!.schedule === Schedule.SCHEDULE_QUIC;
    const first = isQuic ? this.#ownerBySession(quiet, other) : null;
    if (first) return { ...first, tag: other };
    const selected = this.schedulers.select(quiet, service, tag);
    if (typeof selected === 'number') return selected;
    return { backend: selected.backend, service, fresh: false, tracked: false };
  }

  #ownerBySession(packet: Pick<Parsed, 'flags'>, tag: bigint): Choice | null {
    const session = this.sessions.find(tag);
    if (!session || !this.#holds(session, packet) || !this.schedulers.isUp(session.backend)) return null;
    return { backend: session.backend, service: session.service, fresh: false, tracked: true };
  }

  #holds(session: Session, packet: Pick<Parsed, 'flags'>): boolean {
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
    if (changed) this.sessions.tell(session);
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
      const [was, is] = [session.state, state].map((one) => Number(one !== SessionState.SESSION_CLOSING));
      const counts = { made: Number(is! > was!), ended: Number(was! > is!) };
      this.admission.sessions(this.control.services[service]!, counts);
      const told = !beginsFlow(packet) || session.backend !== backend;
      Object.assign(session, { backend, service, seen: this.now, state });
      if (told) this.sessions.tell(session);
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
    const tracked = this.sessions.insert(fresh, this.now);
    if (tracked && !beginsFlow(packet)) this.sessions.tell(fresh);
    return tracked;
  }
}

/** Any UDP packet may be a flow's first; of TCP a SYN is. */
function beginsFlow(packet: Parsed): boolean {
  return packet.protocol !== 6 || packet.flags.syn;
}

function leavesSession({ flags }: Parsed, recordSyn: boolean): boolean {
  return flags.syn ? recordSyn : !flags.ends;
}
