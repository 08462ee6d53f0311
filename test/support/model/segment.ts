/** The MSS that a SYN offers, lowered: bpf/segment.h is what this is compared with. */
import { adjusted } from './adjusted.js';
import type { Parsed } from './parse.js';

/** The frame with the first MSS option of its TCP header not above `limit`. */
export function lowerSegment(frame: Buffer, { l4At, ipAt, ipBytes }: Parsed, limit: number): Buffer {
  const end = Math.min(l4At + (frame[l4At + 12]! >> 4) * 4, ipAt + ipBytes);
  let at = l4At + 20;
  while (at + 2 <= end && frame[at] !== 0 && frame[at] !== 2) {
    if (frame[at] === 1) at++;
    else if (frame[at + 1]! >= 2) at += frame[at + 1]!;
    else return frame;
  }
  if (at + 4 > end || frame[at] !== 2 || frame[at + 1] !== 4 || frame.readUInt16BE(at + 2) <= limit) return frame;
  const out = Buffer.from(frame);
  out.writeUInt16BE(limit, at + 2);
  /* The checksum is at 16 of the header; words count from its start. */
  const from = l4At + 20;
  const before = frame.subarray(from, l4At + 60);
  out.writeUInt16BE(adjusted(frame.readUInt16BE(l4At + 16), before, out.subarray(from, l4At + 60)), l4At + 16);
  return out;
}
