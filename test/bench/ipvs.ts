/** `npm run bench -- ipvs`: IPVS and Spillway on Debian's stock kernel, in one emulated machine. README.md. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDriver } from './driver.js';
import { parseOptions } from './ipvs/options.js';
import { type Report, renderReport } from './ipvs/report.js';
import { OUT, ROOT } from './paths.js';

const MOST_SECONDS = 1_800;

/** Standard output is the benchmark's own: what the others say goes to standard error. */
async function run(command: readonly string[]): Promise<void> {
  const [file, ...args] = command;
  const child = spawn(file!, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  const status = await new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  if (status !== 0) throw new Error(`${file} ended with ${status}`);
}

const argv = process.argv.slice(2);
const { json, kernel, instructions } = parseOptions(argv);
const directory = mkdtempSync(join(tmpdir(), 'spillway-ipvs-'));
try {
  await run(['scripts/setup', '--kernels']);
  await buildDriver();
  const guest = ['node', join(OUT, 'ipvs', 'guest.js'), '/out/report.json', ...argv];
  const machine = ['scripts/vm', '--kernel', kernel, '--out', directory, '--timeout', `${MOST_SECONDS}`];
  const options = ['--memory', '2048', ...(instructions ? ['--icount'] : [])];
  await run([...machine, ...options, '--append', 'slab_nomerge init_on_alloc=0', '--', ...guest]);
  const report = JSON.parse(readFileSync(join(directory, 'report.json'), 'utf8')) as Report;
  process.stdout.write(`${json ? JSON.stringify(report, null, 2) : renderReport(report)}\n`);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
