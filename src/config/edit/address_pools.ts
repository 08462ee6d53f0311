import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError, PreconditionError } from '../../base/errors.js';
import type { AddressPool, Desired, LoadBalancer } from '../desired.js';
import { contains, rangeOf } from '../prefix.js';
import { readAddressPool } from '../validate_address_pool.js';
import { familiesMissing } from '../validate_address_request.js';
import { toAddressPool } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, some, withAddressPools, without } from './common.js';

const request = 'addressPool';

export function createAddressPool(desired: Desired, from: message.AddressPool): Edited<AddressPool> {
  const { addressPools } = desired;
  if (addressPools.some(({ name }) => name === from.name)) throw new AlreadyExistsError(kinds.addressPool, from.name);
  return put(desired, from, addressPools.length);
}

export function updateAddressPool(
  desired: Desired,
  name: string,
  change: (before: message.AddressPool) => message.AddressPool,
): Edited<AddressPool> {
  const index = indexOf(desired.addressPools, name, kinds.addressPool);
  return put(desired, { ...change(toAddressPool(desired.addressPools[index]!)), name }, index);
}

/** @throws PreconditionError naming the LoadBalancers that ask for its addresses or were given any. */
export function deleteAddressPool(desired: Desired, name: string): Desired {
  const index = indexOf(desired.addressPools, name, kinds.addressPool);
  const pool = desired.addressPools[index]!;
  const others = without(desired.addressPools, index);
  const users = desired.loadBalancers.filter((balancer) => uses(balancer, { pool, others })).map((one) => one.name);
  if (users.length > 0) {
    const one = users.length === 1;
    throw new PreconditionError(
      `LoadBalancer${one ? '' : 's'} ${some(users)} ${one ? 'has its' : 'have their'} addresses from address pool ` +
        `"${name}": delete ${one ? 'it' : 'them'}, or set addresses or another addressRequest there, first`,
    );
  }
  return withAddressPools(desired, others);
}

function uses(
  { addressRequest, addresses }: LoadBalancer,
  { pool, others }: { pool: AddressPool; others: readonly AddressPool[] },
): boolean {
  if (addressRequest === null) return false;
  if (addressRequest.pool !== '') return addressRequest.pool === pool.name;
  const ranges = pool.prefixes.map(rangeOf);
  const given = addresses.map((address) => rangeOf({ address, bits: address.includes(':') ? 128 : 32 }));
  return (
    given.some((one) => ranges.some((range) => contains(range, one))) ||
    familiesMissing(addressRequest, others).length > 0
  );
}

function put(desired: Desired, from: message.AddressPool, index: number): Edited<AddressPool> {
  const resource = reading((violations) => readAddressPool(from, { path: request, violations }));
  const list = desired.addressPools;
  const addressPools = index === list.length ? [...list, resource] : replaced(list, index, resource);
  const path = `addressPools[${index}]`;
  return { desired: checked(withAddressPools(desired, addressPools), { path, request }), resource };
}
