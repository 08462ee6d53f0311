/** That `npm run bench -- throughput` still measures something: its figures are not judged here. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Report } from '../bench/throughput/report.js';

const script = fileURLToPath(new URL('../bench/throughput.js', import.meta.url));
const words = '--json --rounds 1 --packets 50k --flows 100 --threads 1 --forwarding l2,ipip --sessions 10k'.split(' ');

test('live frames go through the attached program and come back, and nothing is left behind', async (t) => {
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [script, ...words], (_error, out, err) => resolve({ stdout: out, stderr: err }));
  });
  t.true(stdout.startsWith('{'), stderr);
  const { cases, faults } = JSON.parse(stdout) as Report;
  t.deepEqual(
    cases.map(({ program }) => program),
    ['drop', 'yardstick', 'L2_DSR', 'IPIP'],
  );
  for (const { program, pps, cpuNs, ratio } of cases) {
    t.true(pps > 0 && cpuNs > 0 && ratio > 0, program);
  }
  /* Frames are lost where the machine has no time for them; what the program does wrong is none of that. */
  t.deepEqual(
    faults.filter((fault) => !fault.includes('did not come out')),
    [],
  );
  t.deepEqual(
    readdirSync('/run/netns').filter((name) => name.startsWith('sw-bench')),
    [],
  );
});
