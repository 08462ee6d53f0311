import { InvalidError, NotFoundError } from '../../base/errors.js';
import type { AccessList, AddressPool, BackendGroup, Desired, LoadBalancer } from '../desired.js';
import { checkReferences } from '../references.js';
import { Violations } from '../violations.js';

/**
 * One change of one resource: the state after it, and the resource. Everything else is shared with the state before,
 * which later stages use to see what changed. The result equals validating the whole document anew.
 */
export interface Edited<T> {
  readonly desired: Desired;
  readonly resource: T;
}

export function indexOf<T extends { readonly name: string }>(list: readonly T[], name: string, kind: string): number {
  const index = list.findIndex((one) => one.name === name);
  if (index < 0) throw new NotFoundError(kind, name);
  return index;
}

export function replaced<T>(list: readonly T[], index: number, by: T): readonly T[] {
  return list.with(index, by);
}

export function without<T>(list: readonly T[], index: number): readonly T[] {
  return list.toSpliced(index, 1);
}

export const kinds = {
  loadBalancer: 'LoadBalancer',
  listener: 'listener',
  backendGroup: 'backend group',
  backend: 'backend',
  accessList: 'access list',
  addressPool: 'address pool',
} as const;

/** `read` reports with paths in the request. */
export function reading<T>(read: (violations: Violations) => T): T {
  const violations = new Violations();
  const value = read(violations);
  violations.throwIfAny();
  return value;
}

/**
 * What holds between resources, after a change.
 * @param changed path of the changed resource in the document, and what the request calls it.
 */
export function checked(desired: Desired, changed: { path: string; request: string }): Desired {
  const violations = new Violations();
  checkReferences(desired, violations);
  if (violations.list.length === 0) return desired;
  throw new InvalidError(
    violations.list.map(({ field, description }) => ({
      field: field.startsWith(`${changed.path}.`) ? changed.request + field.slice(changed.path.length) : field,
      description,
    })),
  );
}

export function withLoadBalancers(desired: Desired, loadBalancers: readonly LoadBalancer[]): Desired {
  return { ...desired, loadBalancers };
}

export function withBackendGroups(desired: Desired, backendGroups: readonly BackendGroup[]): Desired {
  return { ...desired, backendGroups };
}

export function withAccessLists(desired: Desired, accessLists: readonly AccessList[]): Desired {
  return { ...desired, accessLists };
}

export function withAddressPools(desired: Desired, addressPools: readonly AddressPool[]): Desired {
  return { ...desired, addressPools };
}

/** "a", "b" and 3 more */
export function some(names: readonly string[]): string {
  const most = 5;
  const listed = names
    .slice(0, most)
    .map((name) => `"${name}"`)
    .join(', ');
  return names.length > most ? `${listed} and ${names.length - most} more` : listed;
}
