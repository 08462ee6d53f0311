/** One CPU's struct session_log, read as the agent reads it. */
import * as abi from '../../src/abi/abi.generated.js';

const { head, tail, entries } = abi.sessionLogOffset;
const ENTRIES = (abi.sessionLogSize - entries) / 8;

export class SessionLog {
  readonly #view: DataView;

  constructor(memory: ArrayBuffer, cpu: number) {
    this.#view = new DataView(memory, cpu * abi.sessionLogSize, abi.sessionLogSize);
  }

  get head(): number {
    return Number(this.#view.getBigUint64(head, true));
  }

  /** Slots written since the last call. @throws when an entry does not say that it is the one expected there. */
  drain(): number[] {
    const slots: number[] = [];
    const end = this.head;
    for (let n = Number(this.#view.getBigUint64(tail, true)); n < end; n++) {
      const at = entries + (n % ENTRIES) * 8;
      const says = this.#view.getUint32(at, true);
      if (says !== (n + 1) >>> 0) throw new Error(`entry ${n} says that it is number ${says - 1}`);
      slots.push(this.#view.getUint32(at + 4, true));
    }
    this.#view.setBigUint64(tail, BigInt(end), true);
    return slots;
  }
}
