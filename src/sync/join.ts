import type { Logger } from '../base/log.js';
import { compareTables, RANGES } from './compare.js';
import { type Fetched, fetchSessions } from './fetch.js';
import type { PeerState } from './peer_book.js';
import { type Clock, type PeerClient, type TablePort, TransferError } from './ports.js';
import type { JoinProgress, JoinResult } from './types.js';
import { sleep } from './waiting.js';

/** Peers speak each 250 ms: by then all that are there were heard, and the best can be chosen. */
const SETTLE_MS = 600;
/** Who hears nobody for so long is alone. */
const ALONE_MS = 1500;
const LOOK_MS = 50;
const RETRY_MS = 500;
/** Above this share of ranges that differ, the table is fetched whole. */
const WHOLE_SHARE = 0.25;
const MAX_MENDINGS = 3;
const GAPS_MS = [60, 60] as const;

export interface JoinOptions {
  readonly table: TablePort;
  readonly clock: Clock;
  readonly log: Logger;
  /** When this node began to listen, on the monotonic clock. */
  readonly openedMs: number;
  readonly timeoutMs: number;
  readonly peers: () => readonly PeerState[];
  readonly connect: (peer: PeerState) => PeerClient;
  readonly onProgress: (progress: JoinProgress) => void;
  readonly signal: AbortSignal;
}

/** The sessions of the best peer. Nobody there, or none that answers in time: it says so, and does not throw. */
export async function join(options: JoinOptions): Promise<JoinResult> {
  const { clock, timeoutMs, signal: closing } = options;
  const startedMs = clock.monotonicMs();
  const late = new AbortController();
  const cancel = clock.after(timeoutMs, () => late.abort(new TransferError(`not within ${timeoutMs} ms`, true)));
  const signal = AbortSignal.any([late.signal, closing]);
  try {
    const end = await new Joining({ ...options, signal }).run();
    return { ...end, durationMs: clock.monotonicMs() - startedMs };
  } finally {
    cancel();
  }
}

type End = Omit<JoinResult, 'durationMs'>;

class Joining {
  readonly #options: JoinOptions;
  #mended = 0;
  /** Whose sessions came, if not all. */
  #from: string | null = null;
  #reasons = new Map<string, string>();

  constructor(options: JoinOptions) {
    this.#options = options;
  }

  async run(): Promise<End> {
    const { signal, clock } = this.#options;
    await this.#settle();
    for (;;) {
      const candidates = candidatesOf(this.#options.peers());
      if (candidates.length === 0) return this.#alone();
      for (const peer of candidates) {
        const end = await this.#tryFrom(peer);
        if (end !== null) return end;
        if (signal.aborted) return this.#failed();
      }
      await sleep(clock, RETRY_MS, signal);
      if (signal.aborted) return this.#failed();
    }
  }

  /** Until all peers that are there were heard, or nobody is there. */
  async #settle(): Promise<void> {
    const { clock, openedMs, peers, signal } = this.#options;
    for (;;) {
      const sinceMs = clock.monotonicMs() - openedMs;
      if (sinceMs >= ALONE_MS || signal.aborted) return;
      if (sinceMs >= SETTLE_MS && peers().some(({ alive, admitted }) => alive && admitted)) return;
      await sleep(clock, LOOK_MS, signal);
    }
  }

  async #alone(): Promise<End> {
    const peers = this.#options.peers().filter(({ alive }) => alive);
    const refusal = peers.find(({ refusal }) => refusal !== '')?.refusal;
    const reason =
      [...this.#reasons.values()].join('; ') ||
      (refusal ??
        (peers.length > 0
          ? 'the other nodes are joining, too, and have no sessions to give'
          : `no other node was heard within ${ALONE_MS} ms`));
    return { from: null, sessions: await this.#sessions(), mendedRanges: 0, reason };
  }

  async #failed(): Promise<End> {
    const reason = [...this.#reasons.values()].join('; ') || `not done within ${this.#options.timeoutMs} ms`;
    return { from: this.#from, sessions: await this.#sessions(), mendedRanges: this.#mended, reason };
  }

  async #sessions(): Promise<number> {
    const { counts } = await this.#options.table.digest(1);
    return counts[0] ?? 0;
  }

  /** null: another peer has to be tried. */
  async #tryFrom(peer: PeerState): Promise<End | null> {
    const { connect, log, signal } = this.#options;
    const client = connect(peer);
    try {
      return await this.#pull(peer, client);
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      const reason = signal.aborted ? `sessions of ${peer.name}: ${error.message}` : error.message;
      this.#reasons.set(peer.name, reason);
      log.warn({ peer: peer.name, err: error }, `sessions could not be fetched from ${peer.name}: ${error.message}`);
      return null;
    } finally {
      client.close();
    }
  }

  async #pull(peer: PeerState, client: PeerClient): Promise<End> {
    const { table, clock, signal } = this.#options;
    const compare = () => compareTables({ table, client, clock, gapsMs: GAPS_MS, signal });
    let { ranges } = await compare();
    let last: Fetched | null = null;
    if (ranges.length > 0) last = await this.#fetch(peer, { client, ranges });
    for (let round = 0; ; round++) {
      const { ranges: differing, fewer, sessions } = await compare();
      if (differing.length === 0 || round === MAX_MENDINGS) {
        return {
          from: peer.name,
          sessions,
          mendedRanges: this.#mended,
          reason: reasonOf({ fewer, last, peer: peer.name }),
        };
      }
      ranges = differing;
      this.#mended += ranges.length;
      last = await this.#fetch(peer, { client, ranges });
    }
  }

  #fetch(peer: PeerState, { client, ranges }: { client: PeerClient; ranges: readonly number[] }): Promise<Fetched> {
    const { table, clock, signal, onProgress } = this.#options;
    const wanted = ranges.length > RANGES * WHOLE_SHARE ? null : ranges;
    return fetchSessions({
      ...{ client, table, clock, signal, wanted, ranges: wanted === null ? 0 : RANGES },
      origin: peer.node & 0xffff,
      onProgress: ({ records, expected }) => {
        this.#from = peer.name;
        onProgress({ from: peer.name, sessions: records, expected });
      },
    });
  }
}

/** What is still missing after all mending has a cause that asking again does not cure. */
function reasonOf({ fewer, last, peer }: { fewer: number; last: Fetched | null; peer: string }): string {
  if (fewer === 0 || last === null) return '';
  if (last.noRoom > 0) {
    return `${last.noRoom} sessions of ${peer} found no room in this node's table: raise limits.sessions`;
  }
  if (last.unknown > 0) {
    return `${last.unknown} sessions of ${peer} are of listeners or backends that this node does not have: apply the same configuration`;
  }
  return '';
}

const rank: Readonly<Record<string, number>> = { ACTIVE: 3, DRAINING: 2, STOPPED: 1 };

/** Best first: who serves, then who has most. One that joins itself is of use when it has kept its table. */
export function candidatesOf(peers: readonly PeerState[]): readonly PeerState[] {
  const rankOf = ({ beacon }: PeerState): number => rank[beacon?.life ?? ''] ?? 0;
  const sessionsOf = ({ beacon }: PeerState): number => Number(beacon?.sessions ?? 0n);
  return peers
    .filter((peer) => peer.alive && peer.admitted && (rankOf(peer) > 0 || sessionsOf(peer) > 0))
    .sort((a, b) => rankOf(b) - rankOf(a) || sessionsOf(b) - sessionsOf(a));
}
