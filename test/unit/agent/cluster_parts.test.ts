import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { DictionaryKeeper, purgeEverywhere } from '../../../src/agent/cluster-sync.js';
import { LifeFile, withdrawnAtStart } from '../../../src/agent/life-file.js';
import { codec } from '../../../src/api/codec.js';
import { readFilter } from '../../../src/api/session_filter.js';
import { UnavailableError } from '../../../src/base/errors.js';
import { compile } from '../../../src/compile/compile.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { nodeFiles } from '../../../src/config/store_files.js';
import type { Dictionary } from '../../../src/sync/types.js';
import { backend, desiredOf, group, listener, loadBalancer, seen, tcpCheck } from '../../support/desired.js';

test('a node is drained while the file is there, whatever is in it', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'spillway-life-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = new LifeFile(folder);
  t.false(await file.isWithdrawn());
  await file.setWithdrawn(true);
  t.true(await new LifeFile(folder).isWithdrawn());
  await file.setWithdrawn(true);
  await file.setWithdrawn(false);
  t.false(await file.isWithdrawn());
  t.false(existsSync(path.join(folder, 'drained')));
  await file.setWithdrawn(false);
  writeFileSync(path.join(folder, 'drained'), '');
  t.true(await file.isWithdrawn(), 'cut off by a crash');
});

test('a file that cannot be read is an error, and no licence to announce', async (t) => {
  const fault = Object.assign(new Error('EIO'), { code: 'EIO' });
  const file = new LifeFile('/nowhere', { ...nodeFiles, read: () => Promise.reject(fault) });
  await t.throwsAsync(file.isWithdrawn(), { is: fault });
  const started = await withdrawnAtStart(file, { announces: false });
  t.true(started.withdrawn);
  t.regex(started.fault, /cannot be read.*EIO.*counts as drained until "spillway node activate"; mend the disk/);
  const takenOver = await withdrawnAtStart(file, { announces: true });
  t.false(takenOver.withdrawn, 'a drained one would not have routes');
  t.regex(takenOver.fault, /goes on/);
});

const filters = [
  { vip: '192.0.2.1', vipPort: 443, protocol: 'udp', state: 'established' },
  { client: { address: '2001:db8::', prefixLength: 32 }, backendGroup: 'web', backend: 'be1' },
  { loadBalancer: 'web', listener: 'tcp-443', state: 'source', protocol: 'tcp' },
] as const;

test('peers purge by the very same filter, and everything only where everything was asked for', async (t) => {
  const asked: Uint8Array[] = [];
  const sync = {
    withoutRepair: <T>(work: () => Promise<T>) => work(),
    purgeOnPeers: async (filter: Uint8Array) => {
      asked.push(filter);
      return [{ peer: 'lb2', purged: 5, error: '' }];
    },
  };
  for (const filter of filters) {
    t.is(await purgeEverywhere(filter, { purge: async () => 3, sync }), 3);
    t.deepEqual(readFilter(codec('spillway.v1.SessionFilter').decodeStrict(asked.at(-1)!)), filter);
  }
  await purgeEverywhere(null, { purge: async () => 0, sync });
  t.is(asked.at(-1)!.length, 0);
});

test('a peer that did not purge is named, for its sessions come back', async (t) => {
  const sync = {
    withoutRepair: <T>(work: () => Promise<T>) => work(),
    purgeOnPeers: async () => [
      { peer: 'lb2', purged: 5, error: '' },
      { peer: 'lb3', purged: 0, error: 'connection refused' },
    ],
  };
  const error = await t.throwsAsync(purgeEverywhere(filters[0], { purge: async () => 3, sync }), {
    instanceOf: UnavailableError,
  });
  t.regex(error!.message, /^3 removed here, but not on lb3 \(connection refused\)/);
});

test('peers are not compared with for a change that changes no name', (t) => {
  const told: Dictionary[] = [];
  const keeper = new DictionaryKeeper({ setDictionary: (dictionary) => told.push(dictionary) });
  const ids = new IdLedger({ services: 64, pools: 32, backends: 64 });
  const desired = (...names: readonly string[]) =>
    desiredOf(
      [loadBalancer('web', ['192.0.2.10'], [listener({ port: 443, backendGroup: 'web', healthCheck: tcpCheck })])],
      [
        group(
          'web',
          'L2_DSR',
          names.map((name, i) => backend(name, `203.0.113.${21 + i}`)),
        ),
      ],
    );
  const two = desired('be1', 'be2');
  keeper.take(compile(two, seen(two), ids, { tickMs: 256 }));
  keeper.take(compile(two, seen(two, { unhealthy: ['be1'] }), ids, { tickMs: 256 }));
  t.is(told.length, 1);
  const three = desired('be1', 'be2', 'be3');
  keeper.take(compile(three, seen(three), ids, { tickMs: 256 }));
  t.is(told.length, 2);
});
