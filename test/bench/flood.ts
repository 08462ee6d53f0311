/** `npm run bench -- flood`: spoofed floods on a table full of established sessions. README.md. */
import { cpus, release } from 'node:os';
import { buildDriver } from './driver.js';
import { type Case, runCase } from './flood/cases.js';
import { type Options, parseOptions } from './flood/options.js';
import { type Report, renderReport } from './flood/report.js';

async function run(options: Options): Promise<Report> {
  await buildDriver();
  const cases: Case[] = [];
  const faults: string[] = [];
  for (const scheduler of options.schedulers) {
    const outcome = await runCase(scheduler, options);
    cases.push(outcome.one);
    faults.push(...outcome.faults);
  }
  const cores = cpus();
  return { host: { kernel: release(), cpu: cores[0]?.model ?? 'unknown', cores: cores.length }, cases, faults };
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
