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
  return put(desired, from, loadBalancers.length);
}

export function updateLoadBalancer(
  desired: Desired,
  name: string,
  change: (before: message.LoadBalancer) => message.LoadBalancer,
): Edited<LoadBalancer> {
  const index = indexOf(desired.loadBalancers, name, kinds.loadBalancer);
  return put(desired, { ...change(toLoadBalancer(desired.loadBalancers[index]!)), name }, index);
}

export function deleteLoadBalancer(desired: Desired, name: string): Desired {
  const index = indexOf(desired.loadBalancers, name, kinds.loadBalancer);
  return withLoadBalancers(desired, without(desired.loadBalancers, index));
}

function put(desired: Desired, from: message.LoadBalancer, index: number): Edited<LoadBalancer> {
  const resource = reading((violations) => readLoadBalancer(from, { path: request, violations }));
  const list = desired.loadBalancers;
  const loadBalancers = index === list.length ? [...list, resource] : replaced(list, index, resource);
  const path = `loadBalancers[${index}]`;
  return { desired: checked(withLoadBalancers(desired, loadBalancers), { path, request }), resource };
}
