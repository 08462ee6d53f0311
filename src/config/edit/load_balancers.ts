import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError } from '../../base/errors.js';
import type { Desired, LoadBalancer } from '../desired.js';
import { readLoadBalancer } from '../validate_load_balancer.js';
import { toLoadBalancer } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, withLoadBalancers, without } from './common.js';

const request = 'loadBalancer';

export function createLoadBalancer(desired: Desired, from: message.LoadBalancer): Edited<LoadBalancer> {
  const { loadBalancers } = desired;
  if (loadBalancers.some(({ name }) => name === from.name)) throw new AlreadyExistsError(kinds.loadBalancer, from.name);
  return put(desired, read(from), loadBalancers.length);
}

export function updateLoadBalancer(
  desired: Desired,
  name: string,
  change: (before: message.LoadBalancer) => message.LoadBalancer,
): Edited<LoadBalancer> {
  const index = indexOf(desired.loadBalancers, name, kinds.loadBalancer);
  const written = toLoadBalancer(desired.loadBalancers[index]!);
  return put(desired, read(oneKindOfAddresses(written, { ...change(written), name })), index);
}

export function deleteLoadBalancer(desired: Desired, name: string): Desired {
  const index = indexOf(desired.loadBalancers, name, kinds.loadBalancer);
  return withLoadBalancers(desired, without(desired.loadBalancers, index));
}

/** Addresses and a request for them end each other, as the fields of a oneof do: the one that is set now stays. */
function oneKindOfAddresses(before: message.LoadBalancer, after: message.LoadBalancer): message.LoadBalancer {
  const setsAddresses = after.addresses !== before.addresses && after.addresses.length > 0;
  const setsRequest = after.addressRequest !== before.addressRequest && after.addressRequest !== null;
  if (setsAddresses && !setsRequest) return { ...after, addressRequest: null };
  return setsRequest && !setsAddresses ? { ...after, addresses: [] } : after;
}

function read(from: message.LoadBalancer): LoadBalancer {
  return reading((violations) => readLoadBalancer(from, { path: request, violations }));
}

function put(desired: Desired, resource: LoadBalancer, index: number): Edited<LoadBalancer> {
  const list = desired.loadBalancers;
  const loadBalancers = index === list.length ? [...list, resource] : replaced(list, index, resource);
  const path = `loadBalancers[${index}]`;
  return { desired: checked(withLoadBalancers(desired, loadBalancers), { path, request }), resource };
}
