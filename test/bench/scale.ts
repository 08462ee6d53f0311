/** `npm run bench -- scale`: the agent with 1,000 listeners of 50 backends each, and with a million sessions. */
import { rmSync } from 'node:fs';
import { buildDriver } from './driver.js';
import { BenchAgent } from './scale/agent.js';
import { Bed } from './scale/bed.js';
import { measureApply, measureWeightChanges } from './scale/configuration.js';
import { type Figure, hostOf, type Report, renderReport } from './scale/figures.js';
import { type Options, parseOptions } from './scale/options.js';
import { measureRestart } from './scale/restart.js';
import { establish, measureAnswers } from './scale/sessions.js';

const progress = (text: string): void => {
  process.stderr.write(`scale: ${text}\n`);
};

async function measure(options: Options, agent: BenchAgent): Promise<Figure[]> {
  progress('starting the agent');
  const figures: Figure[] = [];
  const add = (title: string, more: readonly Figure[]): void => {
    figures.push(...more);
    progress(title);
  };
  await agent.start();
  add('configuration applied', await measureApply(agent, options));
  add('weights changed', await measureWeightChanges(agent, options));
  add('sessions established', await establish(agent, options));
  add('commands and scrapes timed', await measureAnswers(agent, options));
  add('agent restarted', await measureRestart(agent, options));
  return figures;
}

async function run(options: Options, stopped: Promise<never>): Promise<Report> {
  await buildDriver();
  const host = hostOf();
  progress(`load ${host.load.join(' ')}; laying out namespaces`);
  const bed = new Bed(`sc${process.pid}`);
  try {
    bed.build(options);
    const agent = new BenchAgent(bed, options);
    try {
      const figures = await Promise.race([measure(options, agent), stopped]);
      return { host: { ...host, loadAtEnd: hostOf().load }, settings: options, figures };
    } finally {
      await agent.remove();
    }
  } finally {
    await bed.remove();
    rmSync(bed.directory, { recursive: true, force: true });
  }
}

const options = parseOptions(process.argv.slice(2));
const stopped = new Promise<never>((_, reject) => {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => reject(new Error(name)));
});
stopped.catch(() => {});
try {
  const report = await run(options, stopped);
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
  // What it asked of a broken bed may still be waiting for an answer.
  process.exit(0);
} catch (error) {
  process.stderr.write(`scale: ${(error as Error).message}\n`);
  process.exit(1);
}
