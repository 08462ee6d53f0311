import Table from 'cli-table3';
import pc from 'picocolors';
import type { Case } from './cases.js';

export interface Report {
  readonly host: { readonly kernel: string; readonly cpu: string; readonly cores: number };
  readonly settings: { readonly rounds: number; readonly packetsPerThread: number; readonly sessions: number };
  readonly cases: readonly Case[];
  readonly faults: readonly string[];
}

/** For people. Colour only on a terminal. */
export function renderReport({ host, settings, cases, faults }: Report): string {
  const table = new Table({
    head: ['kind', 'flows', 'threads', 'program', 'Mpps', 'core ns', 'of the drop', 'of the yardstick', 'lost'],
    style: { head: [], border: [], compact: true },
  });
  for (const one of cases) {
    const { median, min, max } = one.ppsSpread;
    table.push([
      one.kind,
      one.flows,
      one.threads,
      one.program,
      `${mega(median)} [${mega(min)} .. ${mega(max)}]`,
      one.cpuNs.toFixed(0),
      one.ratio.toFixed(2),
      one.ratioToYardstick.toFixed(2),
      one.loss > 0 ? `${(100 * one.loss).toFixed(2)} %` : '',
    ]);
  }
  return [
    `${host.cpu}, ${host.cores} cores, kernel ${host.kernel}; ${settings.rounds} rounds of ${settings.packetsPerThread} packets a thread`,
    table.toString(),
    'Mpps that came back over the veth pair, median [least .. most] over the rounds; core ns: of a core for each packet,',
    'generator and sink included. The drop is a program that counts and drops where the load balancer would be.',
    ...faults.map((fault) => pc.red(`fault: ${fault}`)),
  ].join('\n');
}

function mega(pps: number): string {
  return (pps / 1e6).toFixed(2);
}
