import type { Backend } from '../config/desired.js';
import { identityOf } from './identity.js';
import type { PoolSpec } from './pool.js';
import { viewText } from './views.js';

/**
 * What a backend under check is called between nodes: of its group, of how it is judged (the whole view: one node has
 * one check of it for each view), of its name and address. 0: it is not checked.
 */
export function agreementId(spec: PoolSpec, { name, address }: Pick<Backend, 'name' | 'address'>): bigint {
  if (spec.check === null) return 0n;
  return identityOf('agreement', spec.group.name, viewText(spec), name, address);
}
