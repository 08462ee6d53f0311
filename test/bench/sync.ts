/** `npm run bench -- sync`: sessions of one node on its peers, and whole tables by transfer. README.md. */
import { cpus, release } from 'node:os';
import { buildDriver } from './driver.js';
import { type Case, runCase, runTransfer, type TransferCase } from './sync/cases.js';
import { GOALS, goalsOf } from './sync/goals.js';
import { type Options, parseOptions } from './sync/options.js';
import { type Report, renderReport } from './sync/report.js';

async function run(options: Options): Promise<Report> {
  await buildDriver();
  const cases: Case[] = [];
  for (const peers of options.peers) {
    for (const rate of options.rates) {
      const nodes = peers + 1;
      if (rate !== GOALS.perSecond || peers !== GOALS.peers) {
        cases.push(await runCase({ nodes, rate, v6: false }, options));
        continue;
      }
      for (const loss of options.losses) cases.push(await runCase({ nodes, rate, v6: false, loss }, options));
      cases.push(await runCase({ nodes, rate, v6: true }, options));
    }
  }
  const transfers: TransferCase[] = [];
  if (options.transfer > 0) {
    for (const v6 of [false, true]) transfers.push(await runTransfer({ count: options.transfer, v6 }));
  }
  const cores = cpus();
  return {
    host: { kernel: release(), cpu: cores[0]?.model ?? 'unknown', cores: cores.length },
    ...{ cases, transfers, goals: goalsOf(cases, transfers), faults: faultsOf(cases, transfers) },
  };
}

/** What would make figures meaningless, or is wrong on any machine. */
function faultsOf(cases: readonly Case[], transfers: readonly TransferCase[]): string[] {
  const lost = cases.flatMap(({ clients, nodes, wanted, lossPercent, receivers }) =>
    receivers.flatMap(({ missingAfterRepair, samples }, i) => {
      const name = `${clients}, ${nodes} nodes, ${wanted}/s, ${lossPercent} % lost, peer ${i + 1}`;
      if (samples === 0) return [`${name}: nothing was offered`];
      return missingAfterRepair > 0 ? [`${name}: ${missingAfterRepair} sessions missing after repair`] : [];
    }),
  );
  const torn = transfers.flatMap(({ clients, wanted, differingRanges, missing, wrongBackend }) =>
    differingRanges + missing + wrongBackend > 0
      ? [
          `${clients}, transfer of ${wanted}: ${missing} missing, ${wrongBackend} wrong, ${differingRanges} ranges differ`,
        ]
      : [],
  );
  return [...lost, ...torn];
}

const options = parseOptions(process.argv.slice(2));
try {
  const report = await run(options);
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
