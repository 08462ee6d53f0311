import type { Logger } from '../base/log.js';
import { compareTables, RANGES } from './compare.js';
import { fetchSessions } from './fetch.js';
import type { PeerState } from './peer_book.js';
import { type Clock, type PeerClient, type TablePort, TransferError } from './ports.js';
import type { RepairCounters } from './types.js';

/** One peer, in turn. */
const TURN_MS = 30_000;
/** Between the looks of a comparison in turn, and of one for which there is a reason. */
const TURN_GAPS_MS = [2000, 250] as const;
const URGENT_GAPS_MS = [300, 100] as const;
/** Datagrams that are asked for again may still come. */
const URGENT_DELAY_MS = 300;
/** After each comparison: what is wrong again and again costs so much and no more. */
const REST_MS = 1000;
const WHOLE_SHARE = 0.5;
/** Of a fetch in turn that changed nothing, the next is put off for so many turns, twice as many each time. */
const MAX_PUT_OFF = 16;
const MAX_TRIES = 3;
const PROBLEM_MS = 60_000;
const IDLE_MS = 10_000;

export interface RepairOptions {
  readonly table: TablePort;
  readonly clock: Clock;
  readonly log: Logger;
  /** Those to compare with. */
  readonly peers: () => readonly PeerState[];
  readonly connect: (peer: PeerState) => PeerClient;
}

/**
 * Compares this node's table with its peers', one at a time, and fetches what differs. Each node does so, so that both
 * of two tables get what the other one has.
 */
export class Repair {
  readonly #options: RepairOptions;
  readonly #stop = new AbortController();
  /** Nodes to compare with for a reason, with failures so far. */
  readonly #urgent = new Map<number, number>();
  readonly #problems = new Map<string, { text: string; atMs: number }>();
  /** Differences that fetching does not mend: other configurations, no room. */
  readonly #fruitless = new Map<number, { putOff: number; untilMs: number }>();
  #counters = { compared: 0, differing: 0, fetched: 0, applied: 0, failed: 0 };
  #lastTurn = -1;
  #nextTurnMs: number;
  #paused = 0;
  #running: Promise<void> | null = null;
  #cancel: () => void = () => {};

  constructor(options: RepairOptions) {
    this.#options = options;
    this.#nextTurnMs = options.clock.monotonicMs() + TURN_MS;
    this.#later(TURN_MS);
  }

  /** Something of that node's sessions is missing here. */
  request({ node }: PeerState): void {
    if (this.#urgent.has(node)) return;
    this.#urgent.set(node, 0);
    if (this.#running === null) this.#later(URGENT_DELAY_MS);
  }

  /** While sessions are fetched by somebody else. */
  async pausedWhile<T>(work: () => Promise<T>): Promise<T> {
    this.#paused++;
    try {
      return await work();
    } finally {
      if (--this.#paused === 0) this.#later(REST_MS);
    }
  }

  /** As pausedWhile, and what is under way ends first: what it brings must not come after the work. */
  idleWhile<T>(work: () => Promise<T>): Promise<T> {
    return this.pausedWhile(async () => {
      if (this.#running !== null) await withinMs(this.#running, IDLE_MS, this.#options.clock);
      return work();
    });
  }

  counters(): RepairCounters {
    return this.#counters;
  }

  problems(): readonly string[] {
    const now = this.#options.clock.monotonicMs();
    for (const [peer, { atMs }] of this.#problems) if (now - atMs > PROBLEM_MS) this.#problems.delete(peer);
    return [...this.#problems.values()].map(({ text }) => text);
  }

  async close(): Promise<void> {
    this.#stop.abort(new TransferError('closing', false));
    this.#cancel();
    await this.#running;
  }

  #later(ms: number): void {
    if (this.#stop.signal.aborted || this.#running !== null) return;
    this.#cancel();
    this.#cancel = this.#options.clock.after(ms, () => {
      if (this.#paused > 0 || this.#running !== null) return;
      const fault = (err: unknown): void => this.#options.log.error({ err }, 'tables could not be compared');
      this.#running = this.#next()
        .catch(fault)
        .finally(() => {
          this.#running = null;
          const now = this.#options.clock.monotonicMs();
          this.#later(this.#urgent.size > 0 ? REST_MS : Math.max(REST_MS, this.#nextTurnMs - now));
        });
    });
  }

  async #next(): Promise<void> {
    const { clock } = this.#options;
    const peers = this.#options.peers();
    const [urgent] = this.#urgent;
    if (urgent !== undefined) {
      const [node, failures] = urgent;
      this.#urgent.delete(node);
      const peer = peers.find((one) => one.node === node);
      // One that is silent is compared with when it is heard again.
      if (peer === undefined) return;
      const ok = await this.#mend(peer, URGENT_GAPS_MS);
      if (!ok && failures + 1 < MAX_TRIES && !this.#urgent.has(node)) this.#urgent.set(node, failures + 1);
      return;
    }
    if (clock.monotonicMs() < this.#nextTurnMs) return;
    this.#nextTurnMs = clock.monotonicMs() + TURN_MS;
    const now = clock.monotonicMs();
    const inTurn = peers
      .filter(({ node }) => (this.#fruitless.get(node)?.untilMs ?? now) <= now)
      .sort((a, b) => a.node - b.node);
    const peer = inTurn.find(({ node }) => node > this.#lastTurn) ?? inTurn[0];
    if (peer === undefined) return;
    this.#lastTurn = peer.node;
    await this.#mend(peer, TURN_GAPS_MS);
  }

  #putOff({ node }: PeerState, applied: number): void {
    const before = this.#fruitless.get(node)?.putOff ?? 0;
    this.#fruitless.delete(node);
    if (applied > 0) return;
    const putOff = Math.min(MAX_PUT_OFF, Math.max(1, before * 2));
    this.#fruitless.set(node, { putOff, untilMs: this.#options.clock.monotonicMs() + putOff * TURN_MS });
  }

  /** False: it could not be done. */
  async #mend(peer: PeerState, gapsMs: readonly [number, number]): Promise<boolean> {
    const { table, clock, log, connect } = this.#options;
    const { signal } = this.#stop;
    const client = connect(peer);
    const counters = this.#counters;
    try {
      counters.compared++;
      const { ranges } = await compareTables({ table, client, clock, gapsMs, signal });
      this.#problems.delete(peer.name);
      if (ranges.length === 0) {
        this.#fruitless.delete(peer.node);
        return true;
      }
      counters.differing += ranges.length;
      const wanted = ranges.length > RANGES * WHOLE_SHARE ? null : ranges;
      const { records, applied } = await fetchSessions({
        ...{ client, table, clock, signal, wanted, ranges: wanted === null ? 0 : RANGES },
        origin: peer.node & 0xffff,
      });
      counters.fetched += records;
      counters.applied += applied;
      this.#putOff(peer, applied);
      const fields = { peer: peer.name, ranges: ranges.length, records, applied };
      if (applied > 0) log.info(fields, `${applied} sessions of ${peer.name} were missing here, and are not any more`);
      else log.debug(fields, `the table of ${peer.name} differs, by nothing that this node could take`);
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      counters.failed++;
      const reason = error instanceof Error ? error.message : String(error);
      const text = `sessions could not be compared with ${peer.name}: ${reason}`;
      if (!(error instanceof TransferError) || !this.#problems.has(peer.name))
        log.warn({ peer: peer.name, err: error }, text);
      this.#problems.set(peer.name, { text, atMs: clock.monotonicMs() });
      return false;
    } finally {
      client.close();
    }
  }
}

function withinMs(task: Promise<void>, ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    void task.finally(() => {
      cancel();
      resolve();
    });
  });
}
