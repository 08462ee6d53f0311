import type { CompiledBackend, CompiledPool } from './compiled.js';
import type { Rows } from './tables.js';

/**
 * Rows of all backends, kept by pool: the next version shares every pool that did not change, so that a change of one
 * backend among 50,000 costs its pool and not the whole.
 */
export class PooledRows<Row> implements Rows<Row> {
  readonly size: number;

  private constructor(
    private readonly pools: ReadonlyMap<number, CompiledPool>,
    /** Pool of each backend id. */
    private readonly poolOf: Uint16Array,
    private readonly rowOf: (backend: CompiledBackend) => Row,
  ) {
    let size = 0;
    for (const pool of pools.values()) size += pool.backends.length;
    this.size = size;
  }

  static of(pools: Iterable<CompiledPool>): PooledRows<CompiledBackend> {
    const byId = new Map<number, CompiledPool>();
    const poolOf = new Uint16Array(65536);
    for (const pool of pools) {
      byId.set(pool.id, pool);
      for (const { id } of pool.backends) poolOf[id] = pool.id;
    }
    return new PooledRows(byId, poolOf, (backend) => backend);
  }

  /** The version after `this`: only pools that are other objects are looked into. */
  next(pools: Iterable<CompiledPool>): PooledRows<Row> {
    const byId = new Map<number, CompiledPool>();
    const poolOf = this.poolOf.slice();
    for (const pool of pools) {
      byId.set(pool.id, pool);
      if (this.pools.get(pool.id) === pool) continue;
      for (const { id } of pool.backends) poolOf[id] = pool.id;
    }
    return new PooledRows(byId, poolOf, this.rowOf);
  }

  /** The same backends, seen as something else. */
  as<Other>(rowOf: (backend: CompiledBackend) => Other): PooledRows<Other> {
    return new PooledRows(this.pools, this.poolOf, rowOf);
  }

  get(id: number): Row | undefined {
    const backend = this.pools.get(this.poolOf[id] ?? 0)?.byId.get(id);
    return backend && this.rowOf(backend);
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  *[Symbol.iterator](): IterableIterator<[number, Row]> {
    for (const pool of this.pools.values()) {
      for (const backend of pool.backends) yield [backend.id, this.rowOf(backend)];
    }
  }

  *keys(): IterableIterator<number> {
    for (const [id] of this) yield id;
  }

  *values(): IterableIterator<Row> {
    for (const [, row] of this) yield row;
  }

  /** Those that may differ from `before`: in pools that are not the same objects there. */
  *since(before: PooledRows<Row>): IterableIterator<[number, Row]> {
    for (const pool of this.pools.values()) {
      if (before.pools.get(pool.id) === pool) continue;
      for (const backend of pool.backends) yield [backend.id, this.rowOf(backend)];
    }
  }
}

/** Rows of `now` that may differ from `before`. */
export function rowsSince<Row>(now: Rows<Row>, before: Rows<Row>): Iterable<[number, Row]> {
  return now instanceof PooledRows && before instanceof PooledRows ? now.since(before) : now;
}
