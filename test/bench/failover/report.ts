import Table from 'cli-table3';
import pc from 'picocolors';
import { spreadOf } from '../live/spread.js';
import type { Result } from './measure.js';

export interface Report {
  readonly settings: {
    readonly connections: number;
    readonly perSecond: number;
    readonly flows: number;
    readonly seed: number | null;
  };
  readonly events: readonly Result[];
  readonly faults: readonly string[];
}

export function renderReport({ settings, events, faults }: Report): string {
  const often = new Set(events.map(({ event }) => event)).size < events.length;
  const columns = ['broken', 'new failed', 'longest gap', 'outage', 'lost', 'rerouted', 'converged'];
  const table = new Table({
    head: ['event', ...(often ? ['times'] : []), ...columns],
    colAligns: ['left', ...[...(often ? ['times'] : []), ...columns].map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  });
  table.push(...byEvent(events).map((same) => rowOf(same, often)));
  const { connections, perSecond, flows, seed } = settings;
  return [
    `${connections} long-lived connections, ${perSecond} new ones a second, ${flows} flows of datagrams each 4 ms${seed === null ? '' : `; seed ${seed}`}`,
    table.toString(),
    'broken, new failed: in brackets those that are excused (see test/bench/README.md). longest gap: that a long-lived',
    `connection waited for an answer. outage, lost: of the flows of datagrams. ms but for counts${often ? '; median (longest)' : ''}.`,
    ...faults.map((fault) => pc.red(`fault: ${fault}`)),
  ].join('\n');
}

/** In the order in which they first happened. */
function byEvent(results: readonly Result[]): Result[][] {
  const groups = new Map<string, Result[]>();
  for (const result of results) groups.set(result.event, [...(groups.get(result.event) ?? []), result]);
  return [...groups.values()];
}

/** Of one event, however often it happened: what broke in all, and of times the median and, in brackets, the longest. */
function rowOf(same: readonly Result[], often: boolean): string[] {
  return [
    same[0]!.event,
    ...(often ? [`${same.length}`] : []),
    withExcused(
      sum(same.map(({ establishedBroken }) => establishedBroken)),
      same.map((one) => one.brokenExcused),
    ),
    withExcused(
      sum(same.map(({ newFailed }) => newFailed)),
      same.map((one) => one.newFailedExcused),
    ),
    times(same.map(({ longestGapMs }) => longestGapMs)),
    times(same.map(({ outageMs }) => outageMs)),
    times(same.map(({ packetsLost }) => packetsLost)),
    times(same.map(({ reroutedMs }) => reroutedMs)),
    times(same.map(({ convergedMs }) => convergedMs)),
  ];
}

function times(values: readonly (number | null)[]): string {
  const there = values.filter((value) => value !== null);
  if (there.length < values.length) return pc.red('never');
  const { median, max } = spreadOf(there);
  return there.length === 1 ? median.toFixed(0) : `${median.toFixed(0)} (${max.toFixed(0)})`;
}

function withExcused(count: number, excused: readonly Readonly<Record<string, number>>[]): string {
  const more = sum(excused.flatMap((counts) => Object.values(counts)));
  const shown = count > 0 ? pc.red(`${count}`) : '0';
  return more > 0 ? `${shown} (${more})` : shown;
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
