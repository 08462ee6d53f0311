import {
  isNativeError,
  type SyncAddress,
  type SyncCounts,
  type SyncKey,
  type SyncPeerCounts,
} from '../dataplane/addon.js';
import type { EnginePort } from './ports.js';

/** An engine that may be spoken to when its queue is full, which is as a lost datagram, and after it was closed. */
export class PatientEngine implements EnginePort {
  #last: SyncCounts | null = null;

  constructor(private readonly engine: EnginePort) {}

  setKeys(keys: readonly SyncKey[]): void {
    if (this.#last === null) this.engine.setKeys(keys);
  }

  admit(node: number, boot: bigint): void {
    if (this.#last === null) this.engine.admit(node, boot);
  }

  forget(node: number): void {
    if (this.#last === null) this.engine.forget(node);
  }

  /** All that is said is said again. */
  control(body: Uint8Array, to: SyncAddress | null): void {
    if (this.#last !== null) return;
    try {
      this.engine.control(body, to);
    } catch (error) {
      if (!isNativeError(error) || error.code !== 'ENOBUFS') throw error;
    }
  }

  counters(): SyncCounts {
    return this.#last ?? this.engine.counters();
  }

  peers(): readonly SyncPeerCounts[] {
    return this.#last === null ? this.engine.peers() : [];
  }

  sendError(): string | null {
    return this.#last === null ? this.engine.sendError() : null;
  }

  close(): void {
    this.#last ??= this.engine.counters();
    this.engine.close();
  }
}
