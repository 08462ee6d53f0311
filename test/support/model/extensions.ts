/** IPv6 extension headers up to the transport, as RFC 8200 has them: bpf/extension.h is what this is compared with. */
import { Reason } from '../../../src/abi/abi.generated.js';

export type Fragment = 'none' | 'first' | 'later';

export interface Walked {
  /** Where the transport header is; of a later fragment, what follows the fragment header. */
  readonly at: number;
  readonly next: number;
  readonly fragment: Fragment;
  /** 4 bytes as in the header; zeros without one. */
  readonly id: Buffer;
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
export const extensionHeaders: readonly number[] = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION];

const MOST_HEADERS = 6;
const MOST_BYTES = 256;

/** The headers between `at` and `stop`, of which the first has number `next`; or why they are refused. */
export function walkExtensions(
  frame: Buffer,
  { at, stop, next }: { at: number; stop: number; next: number },
): Walked | number {
  const start = at;
  let fragment: Fragment = 'none';
  let id: Buffer | null = null;
  for (let headers = 1; extensionHeaders.includes(next) && fragment !== 'later'; headers++) {
    if (headers > MOST_HEADERS) return Reason.DROP_EXTENSION;
    if (at + 8 > stop) return Reason.DROP_MALFORMED;
    const [following, length] = [frame[at]!, frame[at + 1]!];
    let bytes = 8 * (1 + length);
    if (next === HOP_BY_HOP && at !== start) return Reason.DROP_EXTENSION;
    if (next === ROUTING) {
      const [type, segmentsLeft] = [frame[at + 2]!, frame[at + 3]!];
      if (type === 0 || segmentsLeft > 0) return Reason.DROP_EXTENSION;
    }
    if (next === AUTHENTICATION) bytes = 4 * (2 + length);
    if (next === FRAGMENT) {
      if (id) return Reason.DROP_EXTENSION;
      bytes = 8;
      id = frame.subarray(at + 4, at + 8);
      const offsetAndFlags = frame.readUInt16BE(at + 2);
      if (offsetAndFlags >= 8) fragment = 'later';
      else if (offsetAndFlags % 2 === 1) fragment = 'first';
    }
    at += bytes;
    next = following;
    if (at - start > MOST_BYTES) return Reason.DROP_EXTENSION;
  }
  return { at, next, fragment, id: id ?? Buffer.alloc(4) };
}
