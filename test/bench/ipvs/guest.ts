/** The part of `npm run bench -- ipvs` that runs in the emulated machine; the report goes to the file named first. */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { pinToCpu } from '../../support/pin_cpu.js';
import { Bed } from '../bed.js';
import { Sink } from '../live/sink.js';
import { LB_OBJECT } from '../paths.js';
import { asCases, type Sample } from './cases.js';
import { Contest } from './contest.js';
import { type Options, parseOptions } from './options.js';
import type { Report } from './report.js';
import { loadModules } from './topology.js';

const MOST_FLOWS = 250_000;

async function run(options: Options): Promise<Report> {
  if (cpus().length > 1) pinToCpu(1);
  await loadModules(options.connTabBits);
  const variants = (['l2', 'ipip', 'gue'] as const).map((forwarding) => ({ forwarding }));
  const sessions = Math.max(MOST_FLOWS, ...options.flows);
  const bed = await Bed.open({ lbObject: LB_OBJECT, variants, sessions, yardstick: false });
  const contest = new Contest(bed, Sink.load());
  const samples: Sample[] = [];
  for (let round = 0; round < options.rounds; round++) {
    for (const balancer of round % 2 ? options.balancers.toReversed() : options.balancers) {
      process.stderr.write(`round ${round + 1} of ${options.rounds}: ${balancer}\n`);
      samples.push(...(await contest.play(balancer, round, options)));
    }
  }
  return {
    host: { kernel: release(), cpus: cpus().length, emulated: true },
    settings: {
      rounds: options.rounds,
      milliseconds: options.milliseconds,
      connTabBits: options.connTabBits,
      instructions: options.instructions,
    },
    cases: asCases(samples),
    faults: contest.faults,
  };
}

const [file, ...argv] = process.argv.slice(2);
writeFileSync(file!, JSON.stringify(await run(parseOptions(argv))));
process.exit(0);
