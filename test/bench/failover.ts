/** npm run bench -- failover: what breaks when something happens to a cluster. See README.md. */
import { buildDriver } from './driver.js';
import { labName, removeStaleLabs, takeDownOnSignal } from './failover/leftovers.js';
import { parseOptions } from './failover/options.js';
import { runRandom } from './failover/random.js';
import { type Report, renderReport } from './failover/report.js';
import { runEvents } from './failover/run.js';

const options = parseOptions(process.argv.slice(2));
const { connections, perSecond, flows, from, random } = options;
const startedMs = performance.now();
const say = (line: string): void => {
  process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} ${line}\n`);
};

await buildDriver();
removeStaleLabs();
takeDownOnSignal();
const bed = { name: labName(), zones: false, connections, perSecond, flows, from, say };
if (random !== null) say(`seed ${random.seed}`);
const { results: events, faults } = random === null ? await runEvents(options, bed) : await runRandom(random, bed);
const report: Report = {
  settings: { connections, perSecond, flows, seed: random?.seed ?? null },
  events,
  faults: [...events.flatMap((event) => event.faults), ...faults],
};
process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
process.exitCode = report.faults.length > 0 ? 1 : 0;
