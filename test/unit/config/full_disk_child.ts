import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openStore } from '../../../src/config/store.js';

/** Run in a mount namespace with a 64 KiB tmpfs at the folder given: fills it, and says what the store does. */
const folder = process.argv[2]!;
const store = openStore(path.join(folder, 'state.json'));
const saved = (version: number) => ({
  desired: { loadBalancers: [], backendGroups: [], accessLists: [], addressPools: [] },
  version,
  appliedAtMs: 1,
  released: [],
});

await store.save(saved(1));
try {
  writeFileSync(path.join(folder, 'filler'), Buffer.alloc(1024 * 1024));
} catch {
  // Full now.
}
const refusal = await store.save(saved(2)).then(
  () => null,
  (error: Error) => ({ name: error.name, message: error.message }),
);
const loaded = await store.load();
console.log(JSON.stringify({ refusal, version: loaded.saved?.version, files: readdirSync(folder).sort() }));
