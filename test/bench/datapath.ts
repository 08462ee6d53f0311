/** `npm run bench -- datapath`: the load balancer and the yardstick of the classic design, in one run. README.md. */
import { bucketsFor } from '../../src/dataplane/open.js';
import { Bed } from './bed.js';
import { type CaseOutcome, runCase } from './cases.js';
import { buildDriver } from './driver.js';
import { runFeatureCosts } from './feature_costs.js';
import { probeFeatures } from './features.js';
import type { Kind } from './kinds.js';
import { type Options, parseOptions, type Section } from './options.js';
import { LB_OBJECT } from './paths.js';
import { type Report, renderReport, settingsOf } from './report.js';

const SIZES = [64, 128, 256, 512, 1024, 1500];
const TABLES = [100_000, 1_000_000, 8_000_000];

interface Part {
  readonly section: Section;
  readonly kinds: readonly Kind[];
  readonly flows: readonly number[];
  readonly bytes?: number;
  readonly sessions: number;
}

/** Every kind at every number of flows; frame sizes; and one number of flows in tables of several sizes. */
function partsOf({ kinds, flows, sessions }: Options): Part[] {
  const established = kinds.filter((kind) => kind === 'tcp4-ack');
  return [
    { section: 'kinds', kinds, flows, sessions },
    ...SIZES.map((bytes): Part => ({ section: 'sizes', kinds: established, flows: [1_000], bytes, sessions })),
    ...TABLES.map((size): Part => ({ section: 'tables', kinds: established, flows: [100_000], sessions: size })),
  ];
}

/** A fresh bed for each kind: the yardstick's tables would otherwise carry the flows of the kinds before. */
async function runCases(options: Options, lbObject: string): Promise<CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  for (const part of partsOf(options).filter(({ section }) => options.sections.includes(section))) {
    for (const kind of part.kinds) {
      const variants = options.forwarding.map((forwarding) => ({ forwarding }));
      const bed = await Bed.open({ lbObject, variants, sessions: part.sessions, yardstick: true });
      try {
        for (const flows of part.flows) outcomes.push(await runCase(bed, { ...options, ...part, kind, flows }));
      } finally {
        bed.close();
      }
    }
  }
  return outcomes;
}

async function run(options: Options): Promise<Report> {
  const lbObject = options.lbObject ?? LB_OBJECT;
  await buildDriver();
  const features = await probeFeatures(lbObject, options.cpu);
  const outcomes = await runCases(options, lbObject);
  if (options.sections.includes('features')) outcomes.push(...(await runFeatureCosts(options, lbObject)));
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
