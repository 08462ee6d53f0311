/** One event: what broke, what failed, for how long nobody was answered, and until when. */
import { backendNames } from '../../support/lab/lab.js';
import { pause, until } from '../../support/lab/until.js';
import type { Bed } from './bed.js';
import { converge, tellDifferences } from './converged.js';
import { type Mishap, monotonicMs, type Snapshot } from './load.js';
import type { Act, Cast, Outcome } from './scenes.js';

export interface Result {
  readonly event: string;
  /** Long-lived ones, when it happened. */
  readonly connections: number;
  readonly establishedBroken: number;
  /** By what excuses them; none of them is in establishedBroken. */
  readonly brokenExcused: Readonly<Record<string, number>>;
  readonly newTried: number;
  readonly newFailed: number;
  readonly newFailedExcused: Readonly<Record<string, number>>;
  /** New connections whose SYN was sent again. */
  readonly newSlow: number;
  readonly longestConnectMs: number;
  /** The longest that any long-lived connection waited for an answer. */
  readonly longestGapMs: number;
  /** The longest that any flow of datagrams, one each 4 ms, had no answer. */
  readonly outageMs: number;
  readonly packetsSent: number;
  readonly packetsLost: number;
  readonly packetsDuplicated: number;
  /** Until the router sends to the right nodes; null: not within a minute. */
  readonly reroutedMs: number | null;
  /** Until routes are right, everybody is answered, and every node knows every connection; null: not within a minute. */
  readonly convergedMs: number | null;
  /** How much later than due the load itself worked, at most: the machine's, not the cluster's. */
  readonly loadDelayMs: number;
  /** What should not have been: each is a failure of the run. */
  readonly faults: readonly string[];
}

/** Silence by which BFD finds a node dead, with room for the routes to change. */
const blindMs = 20;
const settleMs = 30_000;

/** All long-lived connections are there, and all is well. @throws Error saying what is lacking. */
export async function restore(bed: Bed): Promise<void> {
  const deadline = monotonicMs() + settleMs;
  while (bed.load.latest.alive < bed.options.connections) {
    if (monotonicMs() > deadline) throw new Error(`only ${bed.load.latest.alive} connections can be established`);
    bed.load.fill();
    await pause(Math.min(2000, 200 + bed.options.connections));
  }
  const { atMs, lacking } = await converge(bed);
  if (atMs === null) throw new Error(`not within a minute: ${lacking}`);
}

/**
 * Half of the connections are made while a backend gets no new ones: a third of these would go there if they were chosen
 * now, and rest on their sessions alone. Else any node would choose as the one before, without knowing anything.
 */
export async function unsettle(bed: Bed): Promise<void> {
  const { weights } = bed;
  /* Each in its turn: of one alone, nothing would be left. */
  const backend = backendNames[bed.unsettled++ % backendNames.length]!;
  await bed.apply({ ...weights, [backend]: 0 });
  await renew(bed, Math.ceil(bed.options.connections / 2));
  await bed.apply(weights);
}

/** So many end as their users would end them, and are made anew. */
export async function renew(bed: Bed, count: number): Promise<void> {
  const { length } = bed.load.snapshots;
  bed.load.churn(count);
  await until('the load goes on', () => bed.load.snapshots.length > length + 2);
  await restore(bed);
}

export async function measure(bed: Bed, act: Act, cast: Cast): Promise<Result> {
  const { load } = bed;
  const before = load.latest;
  const [firstSnapshot, firstMishap] = [load.snapshots.length, load.mishaps.length];
  const startedMs = monotonicMs();
  let error = '';
  const outcome = await act.play(bed, cast).catch((thrown: unknown): Outcome => {
    error = (thrown as Error).message;
    return {};
  });
  const { atMs, reroutedMs, lacking } = await converge(bed);
  await lastOnesJudged(bed);

  const after = load.latest;
  const during = load.snapshots.slice(firstSnapshot);
  const mishaps = load.mishaps.slice(firstMishap);
  const fromMs = outcome.countedFromMs ?? startedMs;
  const judged = mishaps.map((mishap) => ({ mishap, excuse: excuseOf(mishap, outcome, reroutedMs) }));
  const broken = judged.filter(({ mishap }) => mishap.event === 'broken');
  const failed = judged.filter(({ mishap }) => mishap.event === 'failed');
  const result: Result = {
    event: act.name,
    connections: before.alive,
    establishedBroken: broken.filter(({ excuse }) => excuse === null).length,
    brokenExcused: tally(broken.map(({ excuse }) => excuse)),
    newTried: after.tried - before.tried,
    newFailed: failed.filter(({ excuse }) => excuse === null).length,
    newFailedExcused: tally(failed.map(({ excuse }) => excuse)),
    newSlow: after.slow - before.slow,
    longestConnectMs: longest(during, 'longestConnectMs'),
    longestGapMs: longest(during, 'longestWaitMs'),
    outageMs: longest(during, 'longestGapMs'),
    packetsSent: after.sent - before.sent,
    packetsLost: after.lost - before.lost,
    packetsDuplicated: after.duplicates - before.duplicates,
    reroutedMs: reroutedMs === null ? null : Math.round(reroutedMs - fromMs),
    convergedMs: atMs === null ? null : Math.round(atMs - fromMs),
    loadDelayMs: longest(during, 'ownDelayMs'),
    faults: [],
  };
  const faults = [...(error === '' ? [] : [`${act.name}: ${error}`]), ...faultsOf(act, result, lacking)];
  const told = judged.filter(({ excuse }) => excuse === null).map(({ mishap }) => describe(mishap, startedMs));
  if (told.length > 0) {
    bed.options.say(
      `${act.name}: ${told.slice(0, 5).join('; ')}${told.length > 5 ? `; and ${told.length - 5} more` : ''}`,
    );
  }
  if (atMs === null) for (const node of bed.live) await tellDifferences(bed, node);
  return { ...result, faults };
}

/** A datagram is lost after a second; a new connection that was begun late may still be under way. */
async function lastOnesJudged(bed: Bed): Promise<void> {
  const from = monotonicMs();
  const { perSecond } = bed.load.options;
  await pause(1300);
  while (bed.load.latest.underWay > 5 + perSecond / 4 && monotonicMs() - from < 6000) await pause(100);
}

/** null: there is none. */
export function excuseOf(mishap: Mishap, { diedMs, deadBackends }: Outcome, reroutedMs: number | null): string | null {
  if (deadBackends?.some((name) => name === mishap.backend)) return `on ${mishap.backend}, which was taken away`;
  if (diedMs === undefined) return null;
  const { established, begun } = mishap;
  if (established > diedMs - blindMs && established <= diedMs) return `established in the node's last ${blindMs} ms`;
  const gapEndMs = reroutedMs ?? diedMs + 400;
  if (mishap.event === 'failed' && begun > diedMs - blindMs && begun <= gapEndMs)
    return 'begun before the death was noticed';
  return null;
}

function tally(words: readonly (string | null)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) if (word !== null) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

type Longest = 'longestConnectMs' | 'longestWaitMs' | 'longestGapMs' | 'ownDelayMs';

function longest(snapshots: readonly Snapshot[], key: Longest): number {
  return Math.max(0, ...snapshots.map((snapshot) => snapshot[key]));
}

function faultsOf(act: Act, result: Result, lacking: string): string[] {
  const { event, establishedBroken, newFailed, packetsLost, convergedMs } = result;
  return [
    ...(establishedBroken > 0 ? [`${event}: ${establishedBroken} established connections broke`] : []),
    ...(newFailed > 0 ? [`${event}: ${newFailed} new connections failed`] : []),
    ...(act.lossless && packetsLost > 0 ? [`${event}: ${packetsLost} datagrams were lost`] : []),
    ...(convergedMs === null ? [`${event}: not converged within a minute: ${lacking}`] : []),
  ];
}

function describe({ event, why, phase, address, port, backend, at, established }: Mishap, startedMs: number): string {
  const when = `${((at - startedMs) / 1000).toFixed(2)} s`;
  const since = established > 0 ? `, established ${((established - startedMs) / 1000).toFixed(2)} s` : '';
  return `${event} at ${when} ${why} (${phase}) ${address} port ${port} on ${backend || '?'}${since}`;
}
