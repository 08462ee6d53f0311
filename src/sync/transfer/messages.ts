import type { messages } from '../../api/services.js';
import type { Chunk, FetchRequest, RangeDigest } from '../ports.js';

export function fetchRequestOf({ cursor, bootId, ranges, wanted }: messages.PeerFetchRequest): FetchRequest {
  return { cursor, boot: bootId, ranges, wanted: ranges === 0 ? null : wanted };
}

export function fetchMessageOf({ cursor, boot, ranges, wanted }: FetchRequest) {
  return wanted === null ? { cursor, bootId: boot } : { cursor, bootId: boot, ranges, wanted: [...wanted] };
}

export function digestOf({ bootId, counts, sums }: messages.PeerDigest): RangeDigest {
  return { boot: bootId, counts, sums };
}

export function chunkOf({ bootId, cursor, records, expected }: messages.PeerSessions): Chunk {
  return { boot: bootId, cursor, records, expected: Number(expected) };
}
