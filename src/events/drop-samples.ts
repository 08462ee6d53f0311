import * as abi from '../abi/abi.generated.js';
import { bytesToIp, type Ip } from '../base/ip.js';
import { recordsIn } from './records.js';

export interface DropSample {
  readonly atMs: number;
  readonly reason: number;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ipProtocol: number;
  readonly length: number;
  /** Its first bytes. */
  readonly frame: Uint8Array;
}

/** Of the records of a ring; those of other kinds are skipped. */
export function parseDropSamples(records: Uint8Array, atMs: number): DropSample[] {
  const samples: DropSample[] = [];
  for (const view of recordsIn(records)) {
    if (view.byteLength < abi.dropEventSize) continue;
    const event = abi.readDropEvent(view, 0);
    if (event.kind !== abi.EventKind.EVENT_DROP) continue;
    samples.push({
      atMs,
      reason: event.reason,
      source: bytesToIp(event.source),
      destination: bytesToIp(event.destination),
      sourcePort: event.sourcePort,
      destinationPort: event.destinationPort,
      ipProtocol: event.protocol,
      length: event.length,
      frame: event.frame.subarray(0, Math.min(event.captured, event.frame.length)),
    });
  }
  return samples;
}
