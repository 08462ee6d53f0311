import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { BackendError } from '../../../../src/backend/errors.js';
import { decodeLedger, encodeLedger, LedgerFile } from '../../../../src/backend/report/file.js';
import type { Ledger } from '../../../../src/backend/report/ledger.js';

function folder(t: ExecutionContext): string {
  const name = mkdtempSync(path.join(tmpdir(), 'spillway-report-'));
  t.teardown(() => rmSync(name, { recursive: true, force: true }));
  return name;
}

const count = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const totals = { packetsIn: count, bytesIn: count, packetsOut: count, bytesOut: count };
const usage = fc.array(fc.record({ vip: fc.constantFrom('192.0.2.10', '2001:db8::10'), ...totals }), { maxLength: 3 });
const someLedger: fc.Arbitrary<Ledger> = fc.record({
  epoch: fc.uuid(),
  sequence: count,
  taken: fc
    .dictionary(fc.uuid(), fc.record({ ...totals, seenMs: fc.nat() }))
    .map((all) => new Map(Object.entries(all))),
  returned: usage,
  unsettled: fc.array(fc.record({ target: fc.constantFrom('lb1:1', 'unix:/a'), sequence: count, usage }), {
    maxLength: 3,
  }),
});

test('every ledger survives its text', (t) => {
  fc.assert(
    fc.property(someLedger, (ledger) => void t.deepEqual(decodeLedger(encodeLedger(ledger)), ledger)),
    {
      numRuns: 300,
    },
  );
});

test('what was written is read by the next; nothing is left beside it', (t) => {
  const directory = folder(t);
  const file = path.join(directory, 'made', 'report.json');
  const first = LedgerFile.open(file);
  const ledger = { ...first.read(), sequence: 7n };
  first.write(ledger);
  first.close();
  const second = LedgerFile.open(file);
  t.deepEqual(second.read(), ledger);
  second.close();
  t.deepEqual(readdirSync(path.dirname(file)), ['report.json']);
});

test('a state that cannot be understood is refused, and told what removing it means', (t) => {
  const file = path.join(folder(t), 'report.json');
  for (const text of ['', '{', '{"version":2}', '{"version":1}']) {
    writeFileSync(file, text);
    const opened = LedgerFile.open(file);
    const error = t.throws(() => opened.read(), { instanceOf: BackendError });
    t.regex(error.hint, /reported again/);
    opened.close();
  }
  t.throws(() => LedgerFile.open(`${file}/within/report.json`), { instanceOf: BackendError, message: /cannot keep/ });
});

test('one process holds it; what a dead one left is taken over', async (t) => {
  const file = path.join(folder(t), 'report.json');
  const module = new URL('../../../../src/backend/report/file.js', import.meta.url).href;
  const code = `import { LedgerFile } from '${module}'; LedgerFile.open('${file}'); console.log('held'); setInterval(() => {}, 1000);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => other.kill('SIGKILL'));
  await once(other.stdout, 'data');
  const error = t.throws(() => LedgerFile.open(file), { instanceOf: BackendError });
  t.regex(error.message, new RegExp(`process ${other.pid} reports with this state already`));
  other.kill('SIGKILL');
  await once(other, 'exit');
  t.true(existsSync(`${file}.lock`));
  const mine = LedgerFile.open(file);
  t.regex(readFileSync(`${file}.lock`, 'utf8'), new RegExp(`^${process.pid} `));
  mine.close();
  t.false(existsSync(`${file}.lock`));
});
