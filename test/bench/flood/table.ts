import { SessionState, sessionDetailOffset, sessionDetailSize } from '../../../src/abi/abi.generated.js';
import type { LbMaps } from '../fill.js';

/** The established sessions of a table at one moment. */
export interface Snapshot {
  readonly slots: number;
  /** Tag to backend and service. */
  readonly established: ReadonlyMap<bigint, number>;
}

export function snapshot({ sessions }: Pick<LbMaps, 'sessions'>): Snapshot {
  const words = new BigUint64Array(sessions.mmap());
  const established = new Map<bigint, number>();
  for (let at = 0; at < words.length; at += 2) {
    const value = words[at + 1]!;
    if (Number((value >> 56n) & 0xfn) === SessionState.SESSION_ESTABLISHED) {
      established.set(words[at]!, Number(value & 0xffff_ffffn));
    }
  }
  return { slots: words.length / 2, established };
}

/** Of the sessions before, those that are there no more, and those that name another backend or service now. */
export function lostSince(before: Snapshot, after: Snapshot): { evicted: number; moved: number } {
  let evicted = 0;
  let moved = 0;
  for (const [tag, value] of before.established) {
    const now = after.established.get(tag);
    if (now === undefined) evicted++;
    else if (now !== value) moved++;
  }
  return { evicted, moved };
}

const MULTIPLIER = 0x9e3779b1;

/** Of an odd number, modulo 2^32; each step doubles the bits that are right. */
export function inverse(odd: number): number {
  let x = odd;
  for (let i = 0; i < 5; i++) x = Math.imul(x, 2 - Math.imul(odd, x));
  return x >>> 0;
}

/** The driver's number of the flow with this client (pktbench/headers.h): the last 24 bits of its address, its port. */
export function flowOf(address: number, port: number): number {
  const hash = ((port & 0x7fff) << 17) | (address & 0x1ffff);
  return Math.imul(hash, inverse(MULTIPLIER)) >>> 0;
}

/** Numbers of the flows whose sessions are established, in the order of the table. */
export function establishedFlows({ sessions, details }: Pick<LbMaps, 'sessions' | 'details'>): Uint32Array {
  const words = new Uint32Array(sessions.mmap());
  const view = new DataView(details.mmap());
  const flows: number[] = [];
  for (let slot = 0; slot * 4 < words.length; slot++) {
    if (((words[slot * 4 + 3]! >>> 24) & 0xf) !== SessionState.SESSION_ESTABLISHED) continue;
    const at = slot * sessionDetailSize;
    const address = view.getUint32(at + sessionDetailOffset.client + 12, false) & 0xff_ffff;
    flows.push(flowOf(address, view.getUint16(at + sessionDetailOffset.clientPort, false)));
  }
  return Uint32Array.from(flows);
}

/** In another order, the same each time: the table's own would walk its memory in sequence. */
export function shuffled(values: Uint32Array): Uint32Array {
  const result = Uint32Array.from(values);
  let state = 0x9e3779b9;
  for (let i = result.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
