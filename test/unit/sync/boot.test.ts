import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { nextBoot } from '../../../src/sync/boot.js';

test('boot numbers rise, with the clock set back, too, and with a damaged file they go by the clock', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-boot-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const state = path.join(folder, 'made', 'when missing');
  t.is(nextBoot(state, 1_790_000_000_000), 1_790_000_000_000_000n);
  t.is(nextBoot(state, 1_790_000_000_000), 1_790_000_000_000_001n);
  t.is(nextBoot(state, 1_000_000), 1_790_000_000_000_002n);
  t.is(nextBoot(state, 1_790_000_000_001), 1_790_000_000_001_000n);
  t.is(readFileSync(path.join(state, 'sync-boot'), 'latin1'), '1790000000001000\n');
  writeFileSync(path.join(state, 'sync-boot'), 'damaged');
  t.is(nextBoot(state, 1_790_000_000_002), 1_790_000_000_002_000n);
});
