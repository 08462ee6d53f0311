import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';

test('on a real disk: hours that end while it is full are written when there is room, old files go, a torn line is told', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-metering-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const child = new URL('./real_files_child.js', import.meta.url).pathname;
  const script = 'mount -t tmpfs -o size=256k spillway-metering "$1" && exec "$0" "$2" "$1"';
  const output = execFileSync('unshare', ['--mount', 'sh', '-c', script, process.execPath, folder, child]);
  const { full, said, mode, completed, after, files, packets, flowed } = JSON.parse(output.toString());
  t.regex(full.join(), /metering cannot be saved to .*: the disk is full: free some space \(ENOSPC.*kept in memory/);
  t.deepEqual(after, []);
  t.is(mode, 0o640);
  t.deepEqual(files, ['2026-01-02.jsonl', '2026-01-03.jsonl', 'state.json']);
  t.is(said.length, 2, said.join('\n'));
  t.regex(said[1], /2026-01-03\.jsonl ended in the middle of a line: \d+ bytes were taken out/);
  t.true(completed);
  // 21 to 23 o'clock of one day, 0 o'clock of the next; the record of 1 o'clock is the one that was taken out.
  t.deepEqual(packets, [7, 7, 7, 7]);
  t.is(flowed, 35);
});
