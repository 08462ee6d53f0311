import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { HealthStore } from '../../../src/health/store.js';
import type { HealthRecord } from '../../../src/health/types.js';

async function directory(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'hp-store-'));
  t.teardown(() => rm(path, { recursive: true }));
  return path;
}

function record(key: string): HealthRecord {
  const change = { key, atMs: 5, from: 'unknown', to: 'healthy', reason: 'check passed' } as const;
  return { key, state: 'healthy', sinceMs: 5, reason: 'check passed', lastCheckUs: 210, history: [change] };
}

test('what was saved is loaded, and only the file itself is left', async (t) => {
  const path = await directory(t);
  const store = new HealthStore(join(path, 'health.json'));
  t.deepEqual(await store.load({ nowMs: 1 }), { records: [], problem: null });
  await store.save([record('a'), record('b')]);
  t.deepEqual(await new HealthStore(join(path, 'health.json')).load({ nowMs: 1 }), {
    records: [record('a'), record('b')],
    problem: null,
  });
  t.deepEqual(await readdir(path), ['health.json']);
});

test('of saves that overlap the newest stands', async (t) => {
  const store = new HealthStore(join(await directory(t), 'health.json'));
  await Promise.all(['a', 'b', 'c', 'd'].map((key) => store.save([record(key)])));
  t.deepEqual((await store.load({ nowMs: 1 })).records, [record('d')]);
});

test('a damaged file is set aside and named, never half used', async (t) => {
  const path = join(await directory(t), 'health.json');
  const store = new HealthStore(path);
  await store.save([record('a')]);
  const good = await readFile(path, 'utf8');
  const damages: readonly [string, RegExp][] = [
    ['', /first line/],
    [good.slice(0, -10), /checksum/],
    [good.replace('healthy', 'healthz'), /checksum/],
    [good.replace('spillway-health 1', 'spillway-health 2'), /first line/],
  ];
  for (const [i, [text, reason]] of damages.entries()) {
    await writeFile(path, text);
    const loaded = await store.load({ nowMs: i });
    t.deepEqual(loaded.records, []);
    t.regex(loaded.problem ?? '', reason);
    t.true(loaded.problem?.includes(`${path}.damaged-${i}`));
    t.is(await readFile(`${path}.damaged-${i}`, 'utf8'), text);
    t.is((await store.load({ nowMs: 9 })).problem, null, 'the next start is clean');
  }
});

test('a directory that is not there is an error, not a loss in silence', async (t) => {
  const store = new HealthStore(join(await directory(t), 'missing', 'health.json'));
  await t.throwsAsync(store.save([record('a')]), { code: 'ENOENT' });
  await t.throwsAsync(store.save([record('a')]), { code: 'ENOENT' }, 'a failed save does not stop later ones');
});
