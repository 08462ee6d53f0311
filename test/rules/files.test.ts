/** How long files are, and that what is generated is what would be generated now. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { generate } from '../../src/abi/generate.js';

const MOST_LINES = 400;
const AIM = 150;

function* sourceFiles(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const name = path.join(directory, entry.name);
    if (entry.isDirectory()) {
      if (name !== 'native/build') yield* sourceFiles(name);
    } else if (/\.(ts|c|h|cc)$/.test(name) && !name.includes('.generated.')) yield name;
  }
}

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');

test(`a file of more than ${MOST_LINES} lines says in its header why`, (t) => {
  const files = ['bpf', 'native', 'src'].flatMap((directory) => [...sourceFiles(directory)]);
  const lengths = files.map((file) => ({ file, lines: linesOf(file).length })).sort((a, b) => b.lines - a.lines);
  const median = lengths[Math.floor(lengths.length / 2)]!.lines;
  t.log(
    `${files.length} files, median ${median} lines, ${lengths.filter(({ lines }) => lines > AIM).length} over ${AIM}; the longest:`,
  );
  for (const { file, lines } of lengths.slice(0, 5)) t.log(`${lines} ${file}`);
  const silent = lengths.filter(
    ({ file, lines }) => lines > MOST_LINES && !/long because/i.test(linesOf(file).slice(0, 20).join(' ')),
  );
  t.deepEqual(silent, []);
});

test('src/abi/abi.generated.ts is what src/abi/generate.ts makes of the BTF now', (t) => {
  const fresh = generate('dist/bpf/abi.bpf.o');
  t.is(readFileSync('src/abi/abi.generated.ts', 'utf8'), fresh, 'it is stale: run node dist/src/abi/generate.js');
});
