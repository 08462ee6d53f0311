import type { Chunk, FetchRequest, PeerHandlers, TablePort } from './ports.js';

/** About 256 KiB of records. */
const CHUNK_RECORDS = 10_000;

export interface HandlerOptions {
  readonly table: TablePort;
  readonly boot: bigint;
  readonly purge: (filter: Uint8Array) => Promise<number>;
}

/** What this node answers its peers: the table is walked by threads of the pool, a chunk ahead of the network. */
export function peerHandlers({ table, boot, purge }: HandlerOptions): PeerHandlers {
  return {
    digest: async (ranges) => ({ boot, ...(await table.digest(ranges)) }),
    fetch: (request, signal) => fetch(table, { boot, request, signal }),
    purge,
  };
}

async function* fetch(
  table: TablePort,
  { boot, request, signal }: { boot: bigint; request: FetchRequest; signal: AbortSignal },
): AsyncGenerator<Chunk, void, void> {
  const ranges = request.wanted === null ? 1 : request.ranges;
  const wanted = request.wanted && bitmapOf(request.wanted, ranges);
  // A cursor into the table of an earlier start means nothing.
  const start = request.boot === boot ? Number(request.cursor) : 0;
  const read = (cursor: number) => table.export({ cursor, limit: CHUNK_RECORDS, ranges, wanted });
  let next = read(start);
  // Where the digest fails, nobody waits for it.
  next.catch(() => {});
  const { counts } = await table.digest(ranges);
  const expected = (request.wanted ?? [0]).reduce((sum, range) => sum + (counts[range] ?? 0), 0);
  for (;;) {
    const { records, cursor } = await next;
    if (signal.aborted) return;
    if (cursor !== null) {
      next = read(cursor);
      // Where the peer goes away meanwhile, nobody waits for it.
      next.catch(() => {});
    }
    yield { boot, cursor: BigInt(cursor ?? 0), records, expected };
    if (cursor === null) return;
  }
}

export function bitmapOf(wanted: readonly number[], ranges: number): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(ranges / 8));
  for (const range of wanted) if (range < ranges) bitmap[range >> 3]! |= 1 << (range & 7);
  return bitmap;
}
