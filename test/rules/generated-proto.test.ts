import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';

const committed = 'src/api/generated';

test('src/api/generated is what scripts/gen-proto writes from proto/ now', (t) => {
  const fresh = mkdtempSync(path.join(tmpdir(), 'spillway-gen-proto-'));
  t.teardown(() => rmSync(fresh, { recursive: true, force: true }));
  execFileSync('scripts/gen-proto', [fresh]);

  t.deepEqual(readdirSync(fresh).sort(), readdirSync(committed).sort());
  for (const name of readdirSync(fresh)) {
    t.is(
      readFileSync(path.join(committed, name), 'utf8'),
      readFileSync(path.join(fresh, name), 'utf8'),
      `${committed}/${name} is stale: run scripts/gen-proto`,
    );
  }
});
