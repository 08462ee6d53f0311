/** The one interpreter of plans, on real maps: what it is told is what the kernel then holds. */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import * as fc from 'fast-check';
import { BackendFlags, backendSize } from '../../src/abi/abi.generated.js';
import { fillMaglev, maglevSlots } from '../../src/compile/maglev.js';
import type { PoolRow, Tables } from '../../src/compile/tables.js';
import { awaitPrograms } from '../../src/dataplane/addon.js';
import { ControlTables, HANDOVER_MS } from '../../src/dataplane/tables.js';
import { history } from '../support/arbitrary.js';
import { DataPath } from '../support/data_path.js';
import { resolved, waysOut } from '../support/desired.js';
import { Machine } from '../support/machine.js';
import { openWeb, webDesired } from './web.js';

const sorted = <Row>(rows: Iterable<readonly [string | number, Row]>): unknown =>
  [...rows].map(([key, row]) => [String(key), row] as const).sort(([a], [b]) => (a < b ? -1 : 1));

/** The time of a handover's end is the machine's own. */
const comparable = ({ vips, services, pools, backends, egresses, quicRoutings, quicServers }: Tables): unknown => ({
  quicRoutings: sorted(quicRoutings),
  quicServers: sorted([...quicServers].map(([key, { backend }]) => [key, backend] as const)),
  vips: sorted(vips),
  services: sorted(services),
  pools: sorted(
    [...pools].map(([id, row]): [number, PoolRow] => [id, { ...row, placed: { ...row.placed!, handoverUntil: 0 } }]),
  ),
  backends: sorted(backends),
  egresses: sorted(egresses),
});

test('random histories: the maps hold what the steps say, and are read back as that', async (t) => {
  t.timeout(60_000);
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const lb = new DataPath({ backends: 256, pools: 32 });
      try {
        const machine = new Machine(lb.control.tableCount, 0);
        for (const { desired, health, hops } of steps) {
          const addresses = desired.backendGroups.flatMap(({ backends }) => backends.map(({ address }) => address));
          const nextHops = new Map(addresses.map((address) => [address, resolved(address)]));
          for (const [address, device] of hops) {
            if (device === null) nextHops.delete(address);
            else nextHops.set(address, resolved(address, 1500, device));
          }
          for (const op of await lb.apply(desired, { health: new Map(health), nextHops, waysOut })) machine.perform(op);
          const fresh = new ControlTables(lb.maps, lb.clock).read();
          for (const read of [lb.control.read(), fresh]) {
            if (!isDeepStrictEqual(comparable(read), comparable(machine.tables()))) throw new Error('other tables');
          }
          if (!lb.control.filterMatches(machine.filter)) throw new Error('another filter');
          for (const { placed } of machine.pools.values()) {
            const members = machine.contents.get(placed!.table)!;
            if (!lb.control.tableMatches(placed!.table, members)) throw new Error('another Maglev table');
          }
        }
      } finally {
        lb.close();
      }
    }),
    { numRuns: 15 },
  );
  t.pass();
});

test('a table that was tampered with does not match its members any more', async (t) => {
  const { lb } = await openWeb(t);
  const [pool] = lb.compiled!.pools;
  const { table } = lb.control.read().pools.get(pool!.id)!.placed!;
  t.true(lb.control.tableMatches(table, pool!.row));
  t.deepEqual(lb.control.readTable(table), fillMaglev(pool!.row.members));
  new Uint16Array(lb.maps.maglev.mmap(), table * lb.maps.maglev.info.valueSize, 1)[0]! ^= 1;
  t.false(lb.control.tableMatches(table, pool!.row));
});

test('a row that somebody else wrote is read, not remembered', async (t) => {
  const { lb } = await openWeb(t);
  const id = lb.backendId('be1');
  const before = lb.control.read().backends.get(id)!;
  t.is(lb.control.read().backends.get(id), before, 'the very object, as long as its bytes are those written');
  new Uint8Array(lb.maps.backends.mmap())[id * backendSize + 7] = BackendFlags.BACKEND_IN_USE;
  t.is(lb.control.read().backends.get(id)?.flags, BackendFlags.BACKEND_IN_USE);
});

test('a removed backend is named by the handover until its end, and then by nobody', async (t) => {
  const web = await openWeb(t);
  const { control } = web.lb;
  const id = web.lb.backendId('be2');
  await web.set(webDesired({ weights: [100, null, 100] }));
  t.is(control.read().backends.get(id)?.flags, BackendFlags.BACKEND_IN_USE | BackendFlags.BACKEND_RETIRED);
  t.deepEqual([...control.namedInHandovers(new Set([id, 63]))], [id]);
  web.lb.passMs(HANDOVER_MS + 1000);
  t.deepEqual([...control.namedInHandovers(new Set([id, 63]))], []);
  control.freeBackend(id);
  t.false(control.read().backends.has(id));
});

test('a table that a program may still be reading is filled once all programs have returned, others at once', async (t) => {
  const { lb } = await openWeb(t);
  const [pool] = lb.compiled!.pools;
  const seen: number[] = [];
  let watched = 0;
  const control = new ControlTables(lb.maps, lb.clock, async () => {
    seen.push(control.readTable(watched)[0]!);
  });
  const { table, recipe, identity } = control.poolRow(pool!.id)!;
  const fill = (number: number, backend: number) => {
    const members = [{ backend, seed: 'one', weight: 1 }];
    return control.apply([{ op: 'fill-table', table: number, order: 'maglev', members }]);
  };
  const swap = (number: number, previousTable: number) => {
    const slots = { slots: maglevSlots, previousSlots: maglevSlots };
    return control.apply([
      { op: 'swap-table', pool: pool!.id, table: number, previousTable, ...slots, recipe, identity },
    ]);
  };
  await fill(table + 1, 1);
  await fill(table + 2, 2);
  await swap(table + 1, table);
  t.deepEqual(control.freedTables, [], 'the pool still names the one before');
  await swap(table + 2, table);
  t.deepEqual(control.freedTables, [table + 1], 'a swap in a handover');
  await control.apply([{ op: 'end-handover', pool: pool!.id, table: table + 2 }]);
  t.deepEqual(control.freedTables, [table + 1, table]);
  await fill(table + 3, 3);
  t.deepEqual(seen, []);
  watched = table + 1;
  await fill(table + 1, 3);
  t.deepEqual(seen, [1], 'what was in it, until then');
  await fill(table, 3);
  t.deepEqual(seen, [1], 'the same wait was for all that were free when it began');
  await control.apply([{ op: 'clear-pool', pool: pool!.id }]);
  watched = table + 2;
  await fill(table + 2, 3);
  t.deepEqual(seen, [1, 2]);
});

test('this kernel says when every program has returned', async (t) => {
  t.true(await awaitPrograms());
});
