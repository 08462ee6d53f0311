import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { nextBoot } from '../../../src/sync/boot.js';

test('boot numbers rise, with the clock set back, too, and with a damaged file they go by the clock', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-boot-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const state = path.join(folder, 'made', 'when missing');
  t.is(nextBoot(state, 1_790_000_000_000).boot, 1_790_000_000_000_000n);
  t.is(nextBoot(state, 1_790_000_000_000).boot, 1_790_000_000_000_001n);
  t.is(nextBoot(state, 1_000_000).boot, 1_790_000_000_000_002n);
  t.is(nextBoot(state, 1_790_000_000_001).boot, 1_790_000_000_001_000n);
  t.is(readFileSync(path.join(state, 'sync-boot'), 'latin1'), '1790000000001000\n');
  writeFileSync(path.join(state, 'sync-boot'), 'damaged');
  t.is(nextBoot(state, 1_790_000_000_002).boot, 1_790_000_000_002_000n);
});

test('a disk that refuses does not stop the start: the number is greater than the last one, and the remedy is told', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-boot-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'sync-boot'), '1790000000001000\n');
  // As root, too, nothing is written where a folder stands.
  mkdirSync(path.join(folder, 'sync-boot.tmp'));
  const back = nextBoot(folder, 1_000_000);
  t.is(back.boot, 1_790_000_000_001_001n);
  t.regex(back.problem, /is not kept \(EISDIR.*Make room in .*, or make it writable/);
  t.is(nextBoot(folder, 1_790_000_000_002).boot, 1_790_000_000_002_000n);

  const file = path.join(folder, 'a file');
  writeFileSync(file, '');
  t.like(nextBoot(file, 1_790_000_000_003), { boot: 1_790_000_000_003_000n });
  t.regex(nextBoot(file, 1_790_000_000_003).problem, /ENOTDIR/);
});
