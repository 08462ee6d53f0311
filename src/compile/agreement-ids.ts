import type { Backend } from '../config/desired.js';
import type { CompiledPool } from './compiled.js';
import { identityOf } from './identity.js';
import { type PoolSpec, specOf } from './pool.js';
import { viewText } from './views.js';

/** Backends are immutable, and most are seen by one view. */
const known = new WeakMap<Backend, { readonly group: string; readonly view: string; readonly id: bigint }>();

/**
 * What a backend under check is called between nodes: by its group, by how it is judged (the whole view: a node has one
 * check of it for each view), by its name and address. Nothing that a node's history has given it.
 */
export function agreementId(spec: PoolSpec, backend: Backend): bigint {
  const [group, view] = [spec.group.name, viewText(spec)];
  const before = known.get(backend);
  if (before?.view === view && before.group === group) return before.id;
  const id = identityOf('agreement', group, view, backend.name, backend.address);
  known.set(backend, { group, view, id });
  return id;
}

/** Of a pool's checks, by CheckTarget.key. */
export function agreementIdsOf(pool: CompiledPool): ReadonlyMap<string, bigint> {
  const spec = specOf(pool);
  if (spec.check === null) return none;
  return new Map(pool.backends.map(({ checkKey, backend }) => [checkKey, agreementId(spec, backend)]));
}

const none: ReadonlyMap<string, bigint> = new Map();
