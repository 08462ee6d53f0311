import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { InvalidError } from '../../../src/base/errors.js';
import type { SyncKey } from '../../../src/dataplane/addon.js';
import { KeyRing } from '../../../src/sync/key_ring.js';
import { KeyError, keyFromSecret, keyOf, parseKeys } from '../../../src/sync/keys.js';
import { holds } from '../../support/holds.js';
import { listeningLog } from '../../support/sync/listening_log.js';
import { SimClock } from '../../support/sync/sim_clock.js';

const hexKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const [one, two, three] = ['11', '22', '33'].map((digits) => digits.repeat(32)) as [string, string, string];

test('keys are read in their order, with comments, white space and either case', (t) => {
  holds(
    fc.property(fc.uniqueArray(hexKey, { minLength: 1, maxLength: 8 }), (keys) => {
      const text = keys.map((key, i) => `  ${i % 2 ? key.toUpperCase() : key}\t# of ${i}\r\n\n`).join('# old ones:\n');
      t.deepEqual(
        parseKeys(text).map(({ key }) => Buffer.from(key).toString('hex')),
        keys,
      );
    }),
  );
});

test('what is no key is named by its line and never shown', (t) => {
  const error = t.throws(() => parseKeys(`${one}\n\n${two.slice(1)}g\n`), { instanceOf: KeyError });
  t.regex(
    error!.message,
    /^line 3 has 64 characters and is no key: 64 hexadecimal digits, as openssl rand -hex 32 gives/,
  );
  t.false(error!.message.includes('222'));
  t.throws(() => parseKeys('# none\n'), { message: /holds no key/ });
  t.throws(() => parseKeys(`${one}\n${one}\n`), { message: /line 2 is key [0-9a-f]{8} again/ });
  t.throws(() => parseKeys(Array.from({ length: 9 }, (_, i) => String(i).repeat(64)).join('\n')), {
    message: /9 keys, 8 at most/,
  });
});

test('the key of a cluster secret is the same everywhere, and another for another secret', (t) => {
  const secret = Buffer.from('a secret of sixteen bytes and more');
  t.deepEqual(keyFromSecret(secret), keyFromSecret(Buffer.from(secret)));
  t.not(keyFromSecret(secret).id, keyFromSecret(Buffer.from('another secret of the same length.')).id);
  t.is(
    Buffer.from(keyFromSecret(secret).key).toString('hex'),
    '7aafcea5db8d9ba3b19ef008f8e557bf15c965be96396259f0528e5c37370c7a',
  );
});

function ringOn(text: string | null) {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-keys-'));
  const file = path.join(folder, 'keys');
  if (text !== null) writeFileSync(file, text);
  const clock = new SimClock();
  const log = listeningLog();
  const changes: (readonly SyncKey[])[] = [];
  const open = () =>
    new KeyRing({ keyFile: file, clusterSecret: null, clock, log, onChange: (keys) => changes.push(keys) });
  return { file, clock, log, changes, open, remove: () => rmSync(folder, { recursive: true }) };
}

test('a changed key file is in force within a second, with a line in the log that names the keys by number', async (t) => {
  const { file, clock, log, changes, open, remove } = ringOn(`${one}\n`);
  t.teardown(remove);
  const ring = open();
  writeFileSync(file, `${one}\n${two}\n`);
  await clock.advance(1000);
  t.deepEqual(changes, [parseKeys(`${one}\n${two}\n`)]);
  t.is(ring.keys(), changes[0]!);
  const [first, second] = [one, two].map((hex) => keyOf(Buffer.from(hex, 'hex')).id.toString(16).padStart(8, '0'));
  t.deepEqual(log.lines, [`info: sync keys: ${first} signs, ${first}, ${second} are accepted (before: ${first})`]);
  await clock.advance(5000);
  t.is(changes.length, 1);
});

test('a broken or vanished key file leaves the keys in force and is a problem until it is mended', async (t) => {
  const { file, clock, log, changes, open, remove } = ringOn(`${one}\n`);
  t.teardown(remove);
  const ring = open();
  writeFileSync(file, `${one}\nrubbish\n`);
  await clock.advance(3000);
  t.deepEqual(changes, []);
  t.deepEqual(ring.keys(), parseKeys(one));
  t.regex(
    ring.problems().join(),
    /sync\.keyFile .*: line 2 has 7 characters and is no key.*; the keys before stay in force/,
  );
  t.is(log.lines.length, 1);
  rmSync(file);
  await clock.advance(1000);
  t.regex(ring.problems().join(), /cannot be read: ENOENT/);
  writeFileSync(file, `${one}\n`);
  await clock.advance(1000);
  t.deepEqual(ring.problems(), []);
  writeFileSync(file, `${three}\n`);
  await clock.advance(1000);
  t.deepEqual(ring.keys(), parseKeys(three));
});

test('no key to begin with is refused, with the field and the remedy', (t) => {
  const { open, remove } = ringOn(null);
  t.teardown(remove);
  t.throws(open, { instanceOf: InvalidError, message: /^sync\.keyFile: .* cannot be used: ENOENT/ });
  const options = { clock: new SimClock(), log: listeningLog(), onChange: () => {} };
  t.throws(() => new KeyRing({ ...options, keyFile: null, clusterSecret: null }), {
    instanceOf: InvalidError,
    message: /set clusterSecretFile, or sync\.keyFile/,
  });
});
