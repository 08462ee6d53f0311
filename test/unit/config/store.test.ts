import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { UnavailableError } from '../../../src/base/errors.js';
import type { Desired } from '../../../src/config/desired.js';
import { openStore } from '../../../src/config/store.js';
import { nodeFiles, type StoreFiles } from '../../../src/config/store_files.js';

const nothing: Desired = { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] };
const saved = (version: number, desired: Desired = nothing) => ({
  desired,
  version,
  appliedAtMs: 1_700_000_000_000,
  released: [],
});
const some: Desired = {
  loadBalancers: [],
  accessLists: [],
  addressPools: [],
  backendGroups: [
    { name: 'web', forwarding: 'IPIP', description: 'é "', backends: [], tunnelPort: 6080, portMapping: false },
  ],
};
const now = () => Date.UTC(2024, 1, 3, 4, 5, 6, 7);

function place(t: ExecutionContext): { folder: string; file: string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-api-store-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, file: path.join(folder, 'state', 'desired.json') };
}

test('what was saved is loaded; the state before it is kept beside it', async (t) => {
  const { file } = place(t);
  const store = openStore(file);
  t.deepEqual(await store.load(), { saved: null, source: 'none', damaged: [] });
  await store.save(saved(1));
  await store.save(saved(2, some));
  t.deepEqual(await store.load(), { saved: saved(2, some), source: 'current', damaged: [] });
  t.deepEqual(readdirSync(path.dirname(file)), ['desired.json', 'desired.json.previous']);
  t.like(JSON.parse(readFileSync(`${file}.previous`, 'utf8')), { format: 2, version: 1 });
  t.is(statSync(file).mode & 0o777, 0o600);
});

test('saves that overlap are done in their order', async (t) => {
  const { file } = place(t);
  const store = openStore(file);
  await Promise.all(Array.from({ length: 20 }, (_, index) => store.save(saved(index + 1))));
  t.is((await store.load()).saved?.version, 20);
});

const damages: readonly (readonly [name: string, damage: (text: string) => string, reason: RegExp])[] = [
  ['truncated', (text) => text.slice(0, 100), /no whole JSON: truncated or overwritten/],
  ['empty', () => '', /it is empty/],
  ['changed by hand', (text) => text.replace('"version":2', '"version":3'), /checksum does not match/],
  ['of a later format', (text) => text.replace('"format":2', '"format":3'), /format 3, this version reads 1 and 2/],
  ['another kind of file', () => '[1, 2]', /no JSON object/],
];

for (const [name, damage, reason] of damages) {
  test(`a file ${name} is set aside and reported, and the state before it is taken`, async (t) => {
    const { file } = place(t);
    const store = openStore(file, { now });
    await store.save(saved(1, some));
    await store.save(saved(2));
    const damaged = damage(readFileSync(file, 'utf8'));
    writeFileSync(file, damaged);

    const loaded = await store.load();
    t.is(loaded.source, 'previous');
    t.deepEqual(loaded.saved, saved(1, some));
    const aside = `${file}.damaged-2024-02-03T040506007Z`;
    t.like(loaded.damaged, [{ path: file, setAside: aside }] as never);
    t.regex(loaded.damaged[0]!.reason, reason);
    t.is(readFileSync(aside, 'utf8'), damaged, 'kept for inspection');

    t.like(await store.load(), { source: 'current', damaged: [] }, 'the next start finds it whole');
    await store.save(saved(2, some));
    t.is((await store.load()).saved?.version, 2);
  });
}

test('where both files are damaged nothing is loaded, and both are reported', async (t) => {
  const { file } = place(t);
  const store = openStore(file, { now });
  await store.save(saved(1));
  await store.save(saved(2));
  writeFileSync(file, 'x');
  writeFileSync(`${file}.previous`, '');
  const loaded = await store.load();
  t.like(loaded, { saved: null, source: 'none' });
  t.deepEqual(
    loaded.damaged.map(({ path: damaged }) => damaged),
    [file, `${file}.previous`],
  );
  await store.save(saved(3));
  t.is((await store.load()).saved?.version, 3);
});

test('a state that the rules of this version refuse is set aside with the field at fault', async (t) => {
  const { file } = place(t);
  const store = openStore(file);
  await store.save(saved(1, { ...nothing, backendGroups: [{ ...some.backendGroups[0]!, name: '1' }] }));
  const { saved: state, damaged } = await store.load();
  t.is(state, null);
  t.regex(damaged[0]!.reason, /this version refuses its content: backendGroups\[0\]\.name/);
});

test('after a removal by hand the state before is not taken instead', async (t) => {
  const { file } = place(t);
  const store = openStore(file);
  await store.save(saved(1));
  await store.save(saved(2));
  rmSync(file);
  t.like(await store.load(), { saved: null, source: 'none' });
});

function refusing(operation: keyof StoreFiles, code: string, when = (_: string) => true): StoreFiles {
  const refuse = (path: string, ...rest: never[]) =>
    when(path)
      ? Promise.reject(Object.assign(new Error(`${code}: ${operation} '${path}'`), { code }))
      : (nodeFiles[operation] as (...all: unknown[]) => Promise<never>)(path, ...rest);
  return { ...nodeFiles, [operation]: refuse };
}

const refusals: readonly (readonly [keyof StoreFiles, string, RegExp])[] = [
  ['makeFolder', 'EACCES', /permission denied: spillwayd needs to own stateDirectory/],
  ['writeDurably', 'ENOSPC', /the disk is full: free some space, then apply again/],
  ['writeDurably', 'EROFS', /the file system is read-only/],
  ['writeDurably', 'EIO', /EIO: writeDurably/],
  ['link', 'EDQUOT', /the disk quota is used up/],
  ['rename', 'EPERM', /not permitted/],
  ['syncFolder', 'EIO', /EIO: syncFolder/],
];

for (const [operation, code, remedy] of refusals) {
  test(`${code} at ${operation} is told with the file and the remedy, and leaves a whole file`, async (t) => {
    const { folder, file } = place(t);
    await openStore(file).save(saved(1, some));
    const error = await t.throwsAsync(openStore(file, { files: refusing(operation, code) }).save(saved(2)), {
      instanceOf: UnavailableError,
    });
    t.true(error!.message.startsWith(`the configuration cannot be saved to ${file}: `));
    t.regex(error!.message, remedy);
    const { saved: state, damaged } = await openStore(file).load();
    t.is(state?.version, operation === 'syncFolder' ? 2 : 1);
    t.deepEqual(damaged, []);
    t.false(readdirSync(path.join(folder, 'state')).includes('desired.json.new'));
    await openStore(file).save(saved(3));
    t.is((await openStore(file).load()).saved?.version, 3);
  });
}

test('a file that cannot be read is not taken for none', async (t) => {
  const { file } = place(t);
  await openStore(file).save(saved(1));
  const store = openStore(file, { files: refusing('read', 'EIO') });
  await t.throwsAsync(store.load(), { instanceOf: UnavailableError, message: /cannot be read: EIO/ });
});

test('a real full disk refuses the save and keeps the state before', (t) => {
  const { folder } = place(t);
  const child = new URL('./full_disk_child.js', import.meta.url).pathname;
  const script = 'mount -t tmpfs -o size=64k spillway-api-full "$1" && exec "$0" "$2" "$1"';
  const output = execFileSync('unshare', ['--mount', 'sh', '-c', script, process.execPath, folder, child]);
  const { refusal, version, files } = JSON.parse(output.toString());
  t.is(refusal.name, 'UnavailableError');
  t.regex(refusal.message, /state\.json: the disk is full: free some space, then apply again \(ENOSPC/);
  t.is(version, 1);
  t.deepEqual(files, ['filler', 'state.json']);
});
