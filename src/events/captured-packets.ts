import * as abi from '../abi/abi.generated.js';
import { recordsIn } from './records.js';

/** A packet that the data path handed over, by the numbers that it knows. */
export interface CapturedPacket {
  readonly monotonicNs: bigint;
  readonly interfaceIndex: number;
  /** Bytes of the frame. */
  readonly length: number;
  /** enum reason; null: it went to a backend. */
  readonly reason: number | null;
  /** 0: none. */
  readonly service: number;
  readonly backend: number;
  readonly frame: Uint8Array;
}

const at = abi.capturedPacketOffset;

export function parseCapturedPackets(records: Uint8Array): CapturedPacket[] {
  const packets: CapturedPacket[] = [];
  for (const view of recordsIn(records)) {
    if (view.byteLength < at.frame) continue;
    const captured = Math.min(view.getUint16(at.captured, true), view.byteLength - at.frame);
    const reason = view.getUint16(at.reason, true);
    packets.push({
      monotonicNs: view.getBigUint64(at.monotonicNs, true),
      interfaceIndex: view.getUint32(at.interfaceIndex, true),
      length: view.getUint32(at.length, true),
      reason: reason === CAPTURE_FORWARDED ? null : reason,
      service: view.getUint16(at.service, true),
      backend: view.getUint16(at.backend, true),
      frame: new Uint8Array(view.buffer, view.byteOffset + at.frame, captured).slice(),
    });
  }
  return packets;
}

/** CAPTURE_FORWARDED of bpf/abi_capture.h. */
const CAPTURE_FORWARDED = 0xffff;
