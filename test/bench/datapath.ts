/** `npm run bench -- datapath`: the load balancer and the yardstick of the classic design, in one run. README.md. */
import { bucketsFor } from '../../src/dataplane/open.js';
import { Bed } from './bed.js';
import { type CaseOutcome, runCase } from './cases.js';
import { buildDriver } from './driver.js';
import { probeFeatures } from './features.js';
import { type Options, parseOptions } from './options.js';
import { LB_OBJECT } from './paths.js';
import { type Report, renderReport, settingsOf } from './report.js';

/** A fresh bed for each kind: the yardstick's tables would otherwise carry the flows of the kinds before. */
async function runCases(options: Options, lbObject: string): Promise<CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  for (const kind of options.kinds) {
    const bed = await Bed.open({ ...options, lbObject, yardstick: true });
    try {
      for (const flows of options.flows) outcomes.push(await runCase(bed, { ...options, kind, flows }));
    } finally {
      bed.close();
    }
  }
  return outcomes;
}

async function run(options: Options): Promise<Report> {
  const lbObject = options.lbObject ?? LB_OBJECT;
  await buildDriver();
  const features = await probeFeatures(lbObject, options.cpu);
  const outcomes = await runCases(options, lbObject);
  const [first] = outcomes;
  if (first === undefined) throw new Error('nothing to measure: name at least one kind and one number of flows');
  return {
    host: first.host,
    settings: settingsOf(options, bucketsFor(options.sessions)),
    features,
    cases: outcomes.flatMap(({ cases }) => cases),
    faults: outcomes.flatMap(({ faults }) => faults),
  };
}

const options = parseOptions(process.argv.slice(2));
try {
  const report = await run(options);
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
  process.exitCode = report.faults.length > 0 || report.features.some(({ inForce }) => !inForce) ? 1 : 0;
} catch (error) {
  const { message, log } = error as Error & { log?: string | null };
  process.stderr.write(`bench: ${message}\n${log ? `${log.slice(-4000)}\n` : ''}`);
  process.exitCode = 1;
}
