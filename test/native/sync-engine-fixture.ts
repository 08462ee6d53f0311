/** Engines with tables and logs in memory, and what they say. */
import { SyncEngine, type SyncEngineOptions, type SyncEvents } from '../../src/dataplane/addon.js';
import { KEY, makeTable, type Row, TestLog, type TestTable } from './sync-fixture.js';

export interface EngineNode {
  readonly engine: SyncEngine;
  readonly log: TestLog;
  readonly store: TestTable;
  readonly events: SyncEvents[];
  /** Bodies of messages so far. */
  heard(): number[];
  establish(slot: number, tag: bigint): Row;
}

export type Where = Pick<SyncEngineOptions, 'interface' | 'address' | 'group' | 'port' | 'peers'>;

export function engineNode(node: number, where: Where, buckets = 64): EngineNode {
  const store = makeTable({ shift: node, buckets });
  const log = new TestLog();
  const events: SyncEvents[] = [];
  const options = { table: store.table, log: log.buffer, node, boot: 1n, keys: [KEY], recordsPerSecond: 1_000_000 };
  const engine = new SyncEngine({ ...options, ...where }, (each) => events.push(each));
  return {
    ...{ engine, log, store, events },
    heard: () => events.flatMap(({ control }) => control.map(({ body }) => body[0]!)),
    establish(slot, tag) {
      const row = { tag, service: 1, backend: 2, state: 2, seen: 5000 };
      store.put(slot, row);
      log.write(slot);
      return row;
    },
  };
}
