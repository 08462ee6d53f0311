/** `npm run bench -- throughput`: live frames through the attached program on a veth pair. README.md. */
import { cpus, release } from 'node:os';
import { Bed } from './bed.js';
import { buildDriver } from './driver.js';
import { LB_OBJECT } from './paths.js';
import { type Case, runCases, targetsOf } from './throughput/cases.js';
import { type Options, parseOptions } from './throughput/options.js';
import { Pair } from './throughput/pair.js';
import { type Report, renderReport } from './throughput/report.js';

async function run(options: Options): Promise<Report> {
  const cores = cpus().length;
  const threads = options.threads.filter((count) => count <= cores);
  if (threads.length === 0) throw new Error(`--threads ${options.threads.join(',')}: this machine has ${cores} cores`);
  await buildDriver();
  const variants = options.forwarding.map((forwarding) => ({ forwarding }));
  const lbObject = options.lbObject ?? LB_OBJECT;
  const cases: Case[] = [];
  const faults: string[] = [];
  const pair = await Pair.open(Math.max(...threads));
  try {
    for (const kind of options.kinds) {
      const bed = await Bed.open({ lbObject, variants, sessions: options.sessions, yardstick: true });
      try {
        for (const flows of options.flows) {
          const given = { kind, flows, options: { ...options, threads } };
          const outcome = await runCases({ pair, targets: targetsOf(bed, pair) }, given);
          cases.push(...outcome.cases);
          faults.push(...outcome.faults);
        }
      } finally {
        bed.close();
      }
    }
  } finally {
    await pair.close();
  }
  return {
    host: { kernel: release(), cpu: cpus()[0]?.model ?? 'unknown', cores },
    settings: { rounds: options.rounds, packetsPerThread: options.packets, sessions: options.sessions },
    cases,
    faults,
  };
}

const options = parseOptions(process.argv.slice(2));
try {
  const report = await run(options);
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
} catch (error) {
  const { message, log } = error as Error & { log?: string | null };
  process.stderr.write(`bench: ${message}\n${log ? `${log.slice(-4000)}\n` : ''}`);
  process.exitCode = 1;
}
