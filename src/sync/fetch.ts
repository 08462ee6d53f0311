import { type Chunk, type Clock, type FetchRequest, type PeerClient, type TablePort, TransferError } from './ports.js';
import { sleep } from './waiting.js';

const MAX_BREAKS = 4;
const BACKOFF_MS = 100;

export interface Fetched {
  /** In all chunks. */
  readonly records: number;
  readonly applied: number;
  readonly stale: number;
  readonly unknown: number;
  readonly noRoom: number;
}

export interface FetchOptions {
  readonly client: PeerClient;
  readonly table: TablePort;
  readonly clock: Clock;
  /** Of session_detail: whom the sessions came from. */
  readonly origin: number;
  readonly ranges: number;
  /** null: the whole table. */
  readonly wanted: readonly number[] | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: { records: number; expected: number }) => void;
}

/**
 * Takes over a peer's sessions, or those of some ranges. A transfer that breaks goes on where it was.
 * @throws TransferError when it breaks again and again, or is refused.
 */
export async function fetchSessions(options: FetchOptions): Promise<Fetched> {
  const { clock, ranges, wanted, signal } = options;
  const fetching = new Fetching(options, { cursor: 0n, boot: 0n, ranges, wanted });
  for (;;) {
    const problem = await fetching.run();
    signal.throwIfAborted();
    if (problem === null) return fetching.total;
    if (!problem.again || fetching.breaks >= MAX_BREAKS) throw problem;
    await sleep(clock, BACKOFF_MS * 2 ** fetching.breaks++, signal);
  }
}

class Fetching {
  readonly total = { records: 0, applied: 0, stale: 0, unknown: 0, noRoom: 0 };
  /** In a row, without a chunk in between. */
  breaks = 0;

  constructor(
    private readonly options: FetchOptions,
    private request: FetchRequest,
  ) {}

  /** Until the end, or until it breaks: then what comes next is known. */
  async run(): Promise<TransferError | null> {
    const { client, signal } = this.options;
    // Merged while the next chunk is on its way.
    let merging: Promise<void> = Promise.resolve();
    try {
      for await (const chunk of client.fetch(this.request, signal)) {
        await merging;
        merging = this.#merge(chunk);
        merging.catch(() => {});
      }
      await merging;
      return null;
    } catch (error) {
      await merging;
      if (error instanceof TransferError) return error;
      throw error;
    }
  }

  async #merge({ boot, cursor, records, expected }: Chunk): Promise<void> {
    const { table, origin, onProgress } = this.options;
    const { applied, stale, unknown, noRoom } = await table.import(records, origin).catch((error: Error) => {
      // Nothing of the chunk was merged; the same peer would send the same again.
      throw new TransferError(`records that cannot be read: ${error.message}`, false, { cause: error });
    });
    this.total.records += recordsIn(records);
    this.total.applied += applied;
    this.total.stale += stale;
    this.total.unknown += unknown;
    this.total.noRoom += noRoom;
    this.request = { ...this.request, cursor, boot };
    this.breaks = 0;
    onProgress?.({ records: this.total.records, expected });
  }
}

/** Of the packed form: u32 IPv4 records, u32 IPv6 records, then these. */
export function recordsIn(packed: Uint8Array): number {
  if (packed.byteLength < 8) return 0;
  const view = new DataView(packed.buffer, packed.byteOffset, 8);
  return view.getUint32(0, true) + view.getUint32(4, true);
}
