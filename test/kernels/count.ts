/** Loads every BPF program of the build and prints what this kernel's verifier made of it; exit 1 when one is refused. */
import { release } from 'node:os';
import { formatTable } from '../../src/cli/format/table.js';
import { isNativeError } from '../../src/dataplane/addon.js';
import { kernelFamily, readGolden, verifiedPrograms } from '../support/programs.js';

const columns = [
  { title: 'PROGRAM' },
  { title: 'TAG' },
  { title: 'VERIFIED', align: 'right' },
  { title: 'WRITTEN DOWN', align: 'right' },
  { title: 'JITED BYTES', align: 'right' },
] as const;

try {
  const golden = readGolden()[kernelFamily()];
  const rows = verifiedPrograms().map(({ name, tag, instructions, jitedBytes }) => [
    name,
    tag,
    `${instructions}`,
    `${golden?.[name] ?? '-'}`,
    `${jitedBytes}`,
  ]);
  process.stdout.write(`kernel ${release()}\n\n${formatTable(columns, rows)}`);
} catch (error) {
  const log = isNativeError(error) ? `${(error.log ?? '').slice(-3000)}\n` : '';
  process.stderr.write(`kernel ${release()}: ${(error as Error).message}\n${log}`);
  process.exitCode = 1;
}
