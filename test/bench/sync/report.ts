import Table from 'cli-table3';
import pc from 'picocolors';
import type { Case, Receiver, TransferCase } from './cases.js';
import type { Goal } from './goals.js';

export interface Report {
  readonly host: { readonly kernel: string; readonly cpu: string; readonly cores: number };
  readonly cases: readonly Case[];
  readonly transfers: readonly TransferCase[];
  readonly goals: readonly Goal[];
  readonly faults: readonly string[];
}

const style = { head: [], border: [], compact: true };

/** For people. Colour only on a terminal. */
export function renderReport({ host, cases, transfers, goals, faults }: Report): string {
  const lines = [`${host.cpu}, ${host.cores} cores, kernel ${host.kernel}`];
  if (cases.length > 0) {
    lines.push('one node announces, its peers merge; each in a process and a namespace of its own, on one bridge');
    lines.push(casesTable(cases));
    for (const { clients, nodes, wanted, sender } of cases) {
      if (sender.logOverruns === 0) continue;
      lines.push(
        `${clients}, ${nodes - 1} peers, ${wanted}/s: ${sender.logOverruns} log entries were overwritten before they were ` +
          'read: the sender was kept from its core for a tenth of a second',
      );
    }
    lines.push('CPU: of the thread that moves datagrams, ms for 100k sessions. wire: bytes a session, whole frames.');
  }
  if (transfers.length > 0) lines.push('a whole table by transfer', transfersTable(transfers));
  for (const { goal, seen, met } of goals) lines.push(`${met ? pc.green('met') : pc.red('missed')}  ${goal}: ${seen}`);
  for (const fault of faults) lines.push(pc.red(`fault: ${fault}`));
  return lines.join('\n');
}

function casesTable(cases: readonly Case[]): string {
  const head = [
    'clients',
    'peers',
    'lost',
    'sessions/s',
    '10 ms',
    '100 ms',
    'p50 ms',
    'p99 ms',
    'max',
    'missed',
    'repaired',
  ];
  const table = new Table({ head: [...head, 'missing', 'after repair', 'send ms', 'receive ms', 'wire'], style });
  for (const { clients, nodes, lossPercent, perSecond, receivers, sender, bytesPerSession } of cases) {
    const least = (pick: (one: Receiver) => number): number => Math.min(...receivers.map(pick));
    const most = (pick: (one: Receiver) => number): number => Math.max(...receivers.map(pick));
    table.push([
      clients,
      nodes - 1,
      `${lossPercent} %`,
      Math.round(perSecond),
      percent(least(({ share10 }) => share10)),
      percent(least(({ share100 }) => share100)),
      lag(receivers.map(({ p50Ms }) => p50Ms)),
      lag(receivers.map(({ p99Ms }) => p99Ms)),
      lag(receivers.map(({ maxMs }) => maxMs)),
      most(({ missedDatagrams }) => missedDatagrams),
      most(({ repairedDatagrams }) => repairedDatagrams),
      most(({ missing }) => missing),
      most(({ missingAfterRepair }) => missingAfterRepair),
      sender.cpuMsPer100k.toFixed(0),
      most(({ cpuMsPer100k }) => cpuMsPer100k).toFixed(0),
      bytesPerSession.toFixed(1),
    ]);
  }
  return table.toString();
}

function transfersTable(transfers: readonly TransferCase[]): string {
  const head = ['clients', 'sessions', 'seconds', 'sessions/s', 'MB/s', 'ranges that differ', 'missing'];
  const table = new Table({ head, style });
  for (const one of transfers) {
    table.push([
      one.clients,
      one.records,
      (one.milliseconds / 1000).toFixed(2),
      Math.round(one.perSecond),
      one.megabytesPerSecond.toFixed(0),
      `${one.differingRanges} of ${one.ranges}`,
      one.missing + one.wrongBackend,
    ]);
  }
  return table.toString();
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** Of the peer that is behind the most. */
function lag(lags: readonly (number | null)[]): string {
  return lags.includes(null) ? 'never' : Math.max(...(lags as number[])).toFixed(1);
}
