import Table from 'cli-table3';
import pc from 'picocolors';
import { type Case, GOAL_PER_SECOND } from './cases.js';

export interface Report {
  readonly host: { readonly kernel: string; readonly cpu: string; readonly cores: number };
  readonly cases: readonly Case[];
  readonly faults: readonly string[];
}

/** For people. Colour only on a terminal. */
export function renderReport({ host, cases, faults }: Report): string {
  const table = new Table({
    head: [
      'scheduler',
      'established',
      'of slots',
      'attempted',
      'M/s',
      'M/s a core',
      'evicted',
      'ns before',
      'during',
      'after',
      'ratio',
    ],
    style: { head: [], border: [], compact: true },
  });
  for (const one of cases) {
    const total = Object.values(one.attempted).reduce((a, b) => a + b, 0);
    table.push([
      one.scheduler,
      one.established,
      `${((100 * one.established) / one.slots).toFixed(1)} %`,
      `${(total / 1e6).toFixed(0)} M in ${one.seconds.toFixed(0)} s`,
      (one.attemptedPerSecond / 1e6).toFixed(2),
      (one.attemptedPerCoreSecond / 1e6).toFixed(2),
      one.evicted === 0 ? pc.green('0') : pc.red(`${one.evicted}`),
      spread(one.before),
      spread(one.during),
      spread(one.after),
      one.ratio.toFixed(2),
    ]);
  }
  const slow = cases.filter(({ attemptedPerSecond }) => attemptedPerSecond < GOAL_PER_SECOND);
  return [
    `${host.cpu}, ${host.cores} cores, kernel ${host.kernel}; spoofed SYN, ACK and UDP in turn, a third each, from all cores`,
    table.toString(),
    ...cases.map(({ scheduler, events }) => `${scheduler}: ${eventsText(events)}`),
    'ns: of a core for a packet of an established flow, median [a tenth below .. a tenth above].',
    ...slow.map(({ scheduler }) => `${scheduler}: this machine did not reach ${GOAL_PER_SECOND / 1e6} M/s`),
    ...faults.map((fault) => pc.red(`fault: ${fault}`)),
  ].join('\n');
}

function spread({ median, p10, p90 }: Case['before']): string {
  return `${median.toFixed(0)} [${p10.toFixed(0)} .. ${p90.toFixed(0)}]`;
}

function eventsText(events: Case['events']): string {
  const seen = Object.entries(events).filter(([, count]) => count > 0);
  return seen.map(([word, count]) => `${word.replace('table_', '')} ${count}`).join(', ') || 'the table did nothing';
}
