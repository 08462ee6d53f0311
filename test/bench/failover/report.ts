import Table from 'cli-table3';
import pc from 'picocolors';
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
  const table = new Table({
    head: ['event', 'broken', 'new failed', 'longest gap', 'outage', 'lost', 'rerouted', 'converged'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  table.push(...events.map(rowOf));
  const { connections, perSecond, flows, seed } = settings;
  return [
    `${connections} long-lived connections, ${perSecond} new ones a second, ${flows} flows of datagrams each 2 ms${seed === null ? '' : `; seed ${seed}`}`,
    table.toString(),
    'broken, new failed: in brackets those that are excused (see test/bench/README.md). longest gap: that a long-lived',
    'connection waited for an answer. outage, lost: of the flows of datagrams. ms but for counts.',
    ...faults.map((fault) => pc.red(`fault: ${fault}`)),
  ].join('\n');
}

function rowOf(result: Result): string[] {
  const { event, establishedBroken, brokenExcused, newFailed, newFailedExcused } = result;
  return [
    event,
    withExcused(establishedBroken, brokenExcused),
    withExcused(newFailed, newFailedExcused),
    result.longestGapMs.toFixed(0),
    result.outageMs.toFixed(0),
    `${result.packetsLost}`,
    result.reroutedMs === null ? '-' : `${result.reroutedMs}`,
    result.convergedMs === null ? pc.red('no') : `${result.convergedMs}`,
  ];
}

function withExcused(count: number, excused: Readonly<Record<string, number>>): string {
  const more = Object.values(excused).reduce((a, b) => a + b, 0);
  const shown = count > 0 ? pc.red(`${count}`) : '0';
  return more > 0 ? `${shown} (${more})` : shown;
}
