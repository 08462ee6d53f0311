import type { SyncCounters } from '../../../src/sync/types.js';
import { Bed } from './bed.js';
import { type Arrived, checkTables, fillTable, offerSessions } from './offer.js';
import type { Loss, Options } from './options.js';
import type { Transferred } from './protocol.js';

/** What one peer has of the sender's sessions, and what it cost there. */
export interface Receiver extends Arrived {
  readonly share10: number;
  readonly share100: number;
  /** Datagrams that did not come at first, those that came when asked for, and those given up. */
  readonly missedDatagrams: number;
  readonly repairedDatagrams: number;
  readonly givenUpDatagrams: number;
  /** Sessions missing once both tables were compared. */
  readonly missingAfterRepair: number;
  readonly cpuMsPer100k: number;
}

export interface Case {
  readonly clients: 'IPv4' | 'IPv6';
  readonly nodes: number;
  /** Of the datagrams to each receiver. */
  readonly lossPercent: Loss;
  readonly wanted: number;
  readonly offered: number;
  readonly perSecond: number;
  readonly heldBackMs: number;
  readonly receivers: readonly Receiver[];
  readonly sender: {
    readonly cpuMsPer100k: number;
    readonly datagrams: number;
    readonly records: number;
    readonly rateLimited: number;
    readonly logOverruns: number;
    readonly retransmitted: number;
  };
  /** Ethernet frames without FCS, all that the sender's interface sent. */
  readonly bytesPerSession: number;
  readonly framesPerSession: number;
}

export interface TransferCase extends Transferred {
  readonly clients: 'IPv4' | 'IPv6';
  readonly wanted: number;
  readonly perSecond: number;
  readonly megabytesPerSecond: number;
  readonly missing: number;
  readonly wrongBackend: number;
}

/** An agent's limit unless configured; a session takes one record. */
const RECORDS_PER_SECOND = 250_000;

/** So that every session finds room without others being moved. */
const roomFor = (sessions: number): number => Math.ceil(sessions * 1.5);

export async function runCase(
  { nodes, rate, v6, loss = 0 }: { nodes: number; rate: number; v6: boolean; loss?: Loss },
  { seconds, unicast }: Options,
): Promise<Case> {
  const sessions = roomFor(rate * seconds);
  const bed = await Bed.open({ nodes, sessions, unicast, recordsPerSecond: RECORDS_PER_SECOND });
  try {
    const [sender, ...peers] = bed.nodes;
    await bed.lose(loss);
    const before = await Promise.all(bed.nodes.map((node) => node.read()));
    const wireBefore = await sender!.wire();
    const outcome = await offerSessions({ sender: sender!, peers, v6 }, { rate, seconds });
    const wire = await sender!.wire();
    const after = await Promise.all(bed.nodes.map((node) => node.read()));
    if (outcome.peers.some(({ missing, wrongBackend }) => missing + wrongBackend > 0)) {
      for (const peer of peers) await peer.transfer('compare', sender!);
    }
    const repaired = await checkTables({ sender: sender!, peers }, Math.floor(rate * seconds));
    const { offered } = outcome;
    const change = (i: number, name: keyof SyncCounters): number =>
      after[i]!.counters[name] - before[i]!.counters[name];
    const cpuMsPer100k = (i: number): number => ((after[i]!.cpuNs - before[i]!.cpuNs) / 1e6 / offered) * 100_000;
    return {
      clients: v6 ? 'IPv6' : 'IPv4',
      nodes,
      lossPercent: loss,
      wanted: rate,
      offered,
      perSecond: offered / outcome.seconds,
      heldBackMs: outcome.heldBackMs,
      receivers: outcome.peers.map((arrived, i) => ({
        ...arrived,
        share10: arrived.within10 / arrived.samples,
        share100: arrived.within100 / arrived.samples,
        missedDatagrams: change(i + 1, 'missed'),
        repairedDatagrams: change(i + 1, 'repaired'),
        givenUpDatagrams: change(i + 1, 'givenUp'),
        missingAfterRepair: repaired[i]!.missing + repaired[i]!.wrongBackend,
        cpuMsPer100k: cpuMsPer100k(i + 1),
      })),
      sender: {
        cpuMsPer100k: cpuMsPer100k(0),
        datagrams: change(0, 'datagramsSent'),
        records: change(0, 'recordsSent'),
        rateLimited: change(0, 'rateLimited'),
        logOverruns: change(0, 'logOverruns'),
        retransmitted: change(0, 'retransmitted'),
      },
      bytesPerSession: (wire.bytes - wireBefore.bytes) / offered,
      framesPerSession: (wire.frames - wireBefore.frames) / offered,
    };
  } finally {
    await bed.close();
  }
}

/** A node with an empty table takes all sessions of another, over TCP. */
export async function runTransfer({ count, v6 }: { count: number; v6: boolean }): Promise<TransferCase> {
  const bed = await Bed.open({
    nodes: 2,
    sessions: count,
    unicast: false,
    recordsPerSecond: RECORDS_PER_SECOND,
  });
  try {
    const [sender, peer] = bed.nodes;
    const numbers = await fillTable({ sender: sender!, v6 }, count);
    const before = await sender!.wire();
    const done = await peer!.transfer('fetch', sender!);
    const wire = await sender!.wire();
    const [found] = await checkTables({ sender: sender!, peers: [peer!] }, numbers);
    const seconds = done.milliseconds / 1000;
    return {
      ...done,
      clients: v6 ? 'IPv6' : 'IPv4',
      wanted: count,
      perSecond: done.records / seconds,
      megabytesPerSecond: (wire.bytes - before.bytes) / 1e6 / seconds,
      ...found!,
    };
  } finally {
    await bed.close();
  }
}
