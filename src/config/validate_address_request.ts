import type * as message from '../api/generated/messages.generated.js';
import { type Family, familyOf } from '../base/ip.js';
import type { AddressPool, AddressRequest } from './desired.js';
import { type At, checkName } from './rules.js';
import { readScope } from './validate_address_pool.js';
import { unknown } from './validate_listener.js';

/** Of a LoadBalancer that says nothing of its addresses. */
export const anyAddress: AddressRequest = { pool: '', scope: 'PUBLIC', families: [4] };

/** Null where the document gives the addresses. */
export function readAddressRequest(from: message.LoadBalancer, at: At): AddressRequest | null {
  const inside = (field: string): At => ({ ...at, path: `${at.path}.addressRequest.${field}` });
  const { addressRequest: request } = from;
  if (from.addresses.length > 0) {
    if (request !== null) {
      at.violations.add(
        `${at.path}.addressRequest`,
        'set beside addresses: give addresses, or have them given, not both',
      );
    }
    return null;
  }
  if (request === null) return anyAddress;
  if (request.pool !== '') checkName(request.pool, inside('pool'));
  const scope = readScope(request.scope, inside('scope'));
  if (request.pool !== '' && scope !== null) {
    inside('scope').violations.add(
      inside('scope').path,
      'set beside pool: the pool has a scope of its own, leave it out',
    );
  }
  return {
    pool: request.pool,
    scope: (request.pool === '' ? scope : null) ?? 'PUBLIC',
    families: readFamilies(request.families, inside('families')),
  };
}

function readFamilies(from: readonly message.AddressFamily[], { path, violations }: At): readonly Family[] {
  const families = new Set<Family>();
  from.forEach((family, index) => {
    const at = { path: `${path}[${index}]`, violations };
    const read = readFamily(family, at);
    if (read === null) return;
    if (families.has(read))
      violations.add(at.path, `${family} is given twice: a LoadBalancer is given one address of each`);
    families.add(read);
  });
  return families.size === 0 ? anyAddress.families : [...families].sort();
}

function readFamily(family: message.AddressFamily, at: At): Family | null {
  switch (family) {
    case 'IPV4':
      return 4;
    case 'IPV6':
      return 6;
    case 'ADDRESS_FAMILY_UNSPECIFIED':
      at.violations.add(at.path, 'required: IPV4 or IPV6');
      return null;
    default:
      return unknown(family, 'IPV4 or IPV6', at);
  }
}

/** The pools that may serve it, in the order of the document; a family that none of them has is not looked at. */
export function poolsFor(request: AddressRequest, pools: readonly AddressPool[]): readonly AddressPool[] {
  return pools.filter(({ name, scope }) => (request.pool === '' ? scope === request.scope : name === request.pool));
}

/** The families that are asked for and that none of these pools has any address of. */
export function familiesMissing(request: AddressRequest, pools: readonly AddressPool[]): readonly Family[] {
  const serving = poolsFor(request, pools);
  return request.families.filter(
    (family) => !serving.some(({ prefixes }) => prefixes.some(({ address }) => familyOf(address) === family)),
  );
}
