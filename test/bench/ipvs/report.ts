import Table from 'cli-table3';
import pc from 'picocolors';
import type { Case } from './cases.js';

export interface Report {
  /** Of the machine that it ran in. */
  readonly host: { readonly kernel: string; readonly cpus: number; readonly emulated: boolean };
  readonly settings: {
    readonly rounds: number;
    readonly milliseconds: number;
    readonly connTabBits: number;
    readonly instructions: boolean;
  };
  readonly cases: readonly Case[];
  readonly faults: readonly string[];
}

/** For people. Colour only on a terminal. */
export function renderReport({ host, settings, cases, faults }: Report): string {
  const table = new Table({
    head: [
      'generator',
      'flows',
      'balancer',
      settings.instructions ? 'per 1000' : 'Mpps',
      'of IPVS-DR',
      'of the drop',
      'lost',
      'goal',
      'met',
    ],
    style: { head: [], border: [], compact: true },
  });
  const order = [...new Set(cases.map(({ generator, flows }) => `${generator} ${flows}`))];
  for (const group of order) {
    for (const one of cases.filter(({ generator, flows }) => `${generator} ${flows}` === group)) {
      const { median, min, max } = one.ppsSpread;
      table.push([
        one.generator,
        one.flows,
        one.balancer,
        `${mega(median)} [${mega(min)} .. ${mega(max)}]`,
        one.ratio?.toFixed(2) ?? '',
        one.ratioToDrop?.toFixed(2) ?? '',
        one.loss > 0.001 ? `${(100 * one.loss).toFixed(1)} %` : '',
        one.goal ?? '',
        one.met === null ? '' : one.met ? pc.green('yes') : pc.red('no'),
      ]);
    }
  }
  return [
    `kernel ${host.kernel} in an EMULATED machine (QEMU, TCG) of ${host.cpus} CPUs; ${settings.rounds} rounds of about ` +
      `${settings.milliseconds} ms; IPVS with 2^${settings.connTabBits} hash buckets, 100 backends`,
    table.toString(),
    settings.instructions
      ? 'Packets for each 1,000 instructions of the machine, of UDP that reached the sink: median [least .. most].'
      : 'Mpps of UDP that reached the sink, by the time that the host spent on the CPU that did it all: median [least .. most].',
    'Emulation changes the absolute figures by far and the ratios somewhat. On a veth pktgen costs several times what',
    'forwarding does: believe the ratio of live frames.',
    ...faults.map((fault) => pc.red(`fault: ${fault}`)),
  ].join('\n');
}

function mega(pps: number): string {
  return (pps / 1e6).toFixed(3);
}
