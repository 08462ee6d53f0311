import * as abi from '../abi/abi.generated.js';
import { recordsIn } from './records.js';

/** A fragment that came before the first one of its datagram. */
export interface EarlyFragment {
  /** Of its datagram, in the table of first fragments. */
  readonly tag: bigint;
  /** That it came in by. */
  readonly ifindex: number;
  readonly queue: number;
  readonly frame: Uint8Array;
}

/** Of the records of a ring; those of other kinds are skipped. `frame` is a copy. */
export function parseEarlyFragments(records: Uint8Array): EarlyFragment[] {
  const offset = abi.earlyFragmentEventOffset;
  const found: EarlyFragment[] = [];
  for (const view of recordsIn(records)) {
    if (view.byteLength < abi.earlyFragmentEventSize) continue;
    if (view.getUint16(offset.kind, true) !== abi.EventKind.EVENT_EARLY_FRAGMENT) continue;
    const start = view.byteOffset + offset.frame;
    found.push({
      tag: view.getBigUint64(offset.tag, true),
      ifindex: view.getUint32(offset.ifindex, true),
      queue: view.getUint32(offset.queue, true),
      frame: new Uint8Array(view.buffer, start, view.getUint16(offset.length, true)).slice(),
    });
  }
  return found;
}
