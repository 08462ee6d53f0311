/** Where a client's next connection goes: bpf/persistence.h is what this is compared with. */
import { BackendFlags, SessionState } from '../../../src/abi/abi.generated.js';
import type { Control } from './control.js';
import { sourceEntryTag } from './fingerprint.js';
import { mapped, type Parsed } from './parse.js';
import { idleTicks, type Session, type SessionModel } from './session_table.js';

export class PersistenceModel {
  constructor(
    private readonly world: { readonly control: Control; readonly now: number },
    private readonly sessions: SessionModel,
  ) {}

  isPersistent(service: number): boolean {
    return this.#limit(service, 0) > 0;
  }

  #limit(service: number, state: number): number {
    return this.world.control.services[service]?.timeoutTicks[state & 3] ?? 0;
  }

  #tag(packet: Parsed, service: number): bigint {
    return sourceEntryTag(packet, this.world.control.services[service]!, this.world.control.key);
  }

  #takesNewFlows(backend: number, service: number): boolean {
    const { flags = 0, pool } = this.world.control.backends[backend] ?? {};
    if (pool !== this.world.control.services[service]?.pool) return false;
    return (flags & BackendFlags.BACKEND_UP) !== 0 && (flags & BackendFlags.BACKEND_DRAINING) === 0;
  }

  #lasts({ state, seen }: Session, service: number): boolean {
    const idle = idleTicks(this.world.now, seen);
    return idle <= this.#limit(service, state) && idle <= this.#limit(service, SessionState.SESSION_SOURCE);
  }

  /** The backend that the client went to before, if it takes new flows. */
  backendOf(packet: Parsed, service: number): number | null {
    const entry = this.sessions.find(this.#tag(packet, service));
    if (!entry || !this.#lasts(entry, service)) return null;
    return this.#takesNewFlows(entry.backend, service) ? entry.backend : null;
  }

  /** A new flow of the client went there. */
  remember(packet: Parsed, service: number, backend: number): void {
    const entry = this.sessions.find(this.#tag(packet, service));
    if (!entry) {
      this.#insert(packet, { service, backend, state: SessionState.SESSION_SOURCE_YOUNG });
      return;
    }
    const state = this.#lasts(entry, service) ? entry.state : SessionState.SESSION_SOURCE_YOUNG;
    this.#rewrite(entry, { backend, service, state });
  }

  /** Other nodes are told of confirmed entries: once, and when they name another backend. */
  #rewrite(entry: Session, value: Pick<Session, 'backend' | 'service' | 'state'>): void {
    const news = entry.state !== SessionState.SESSION_SOURCE || entry.backend !== value.backend;
    Object.assign(entry, { ...value, seen: this.world.now });
    if (news && entry.state === SessionState.SESSION_SOURCE) this.sessions.tell(entry);
  }

  /** An established session of the client was seen. */
  confirm(packet: Parsed, service: number, session: { backend: number; newlyEstablished: boolean }): void {
    const entry = this.sessions.find(this.#tag(packet, service));
    if (entry) this.#rewrite(entry, { backend: entry.backend, service, state: SessionState.SESSION_SOURCE });
    else if (session.newlyEstablished && this.#takesNewFlows(session.backend, service)) {
      this.#insert(packet, { service, backend: session.backend, state: SessionState.SESSION_SOURCE });
    }
  }

  #insert(packet: Parsed, value: { service: number; backend: number; state: number }): void {
    const { now } = this.world;
    const detail = {
      client: mapped(packet.source).toString('hex'),
      clientPort: 0,
      protocol: packet.protocol,
      service: value.service,
      created: now,
    };
    const entry = { tag: this.#tag(packet, value.service), ...value, seen: now, detail };
    const tracked = this.sessions.insert(entry, now);
    if (tracked && value.state === SessionState.SESSION_SOURCE) this.sessions.tell(entry);
  }
}
