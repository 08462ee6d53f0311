import * as abi from '../abi/abi.generated.js';
import { bytesToIp, type Ip } from '../base/ip.js';

export interface DropSample {
  readonly atMs: number;
  readonly reason: number;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly ipProtocol: number;
  readonly length: number;
}

/** Records of the ring as RingReader packs them: u32 length, then the record padded to 8 bytes. Others are skipped. */
export function parseDropSamples(records: Uint8Array, atMs: number): DropSample[] {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const samples: DropSample[] = [];
  for (let at = 0; at + 4 <= records.byteLength; ) {
    const length = view.getUint32(at, true);
    const start = at + 4;
    at = start + ((length + 7) & ~7);
    if (length < abi.dropEventSize || start + length > records.byteLength) continue;
    const event = abi.readDropEvent(view, start);
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
    });
  }
  return samples;
}
