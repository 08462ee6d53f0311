import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError } from '../../base/errors.js';
import type { Desired, Listener, LoadBalancer } from '../desired.js';
import { readListener } from '../validate_listener.js';
import { checkListenersUnique } from '../validate_load_balancer.js';
import type { Violations } from '../violations.js';
import { toListener } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, withLoadBalancers, without } from './common.js';

const request = 'listener';

export function createListener(desired: Desired, balancerName: string, from: message.Listener): Edited<Listener> {
  const place = indexOf(desired.loadBalancers, balancerName, kinds.loadBalancer);
  const balancer = desired.loadBalancers[place]!;
  const resource = reading((violations) => readListener(from, { path: request, violations }));
  if (balancer.listeners.some(({ name }) => name === resource.name)) {
    throw new AlreadyExistsError(kinds.listener, resource.name);
  }
  return put(desired, { place, index: balancer.listeners.length, resource });
}

export function updateListener(
  desired: Desired,
  { balancerName, name }: { balancerName: string; name: string },
  change: (before: message.Listener) => message.Listener,
): Edited<Listener> {
  const place = indexOf(desired.loadBalancers, balancerName, kinds.loadBalancer);
  const { listeners } = desired.loadBalancers[place]!;
  const index = indexOf(listeners, name, kinds.listener);
  const before = toListener(listeners[index]!);
  const message = leavingLocality(before, { ...change(before), name });
  const resource = reading((violations) => readListener(message, { path: request, violations }));
  return put(desired, { place, index, resource });
}

export function deleteListener(
  desired: Desired,
  { balancerName, name }: { balancerName: string; name: string },
): Desired {
  const place = indexOf(desired.loadBalancers, balancerName, kinds.loadBalancer);
  const balancer = desired.loadBalancers[place]!;
  const listeners = without(balancer.listeners, indexOf(balancer.listeners, name, kinds.listener));
  return inPlace(desired, place, { ...balancer, listeners });
}

/** A listener that prefers no zone any more leaves behind how it did, unless that is set anew. */
function leavingLocality(before: message.Listener, after: message.Listener): message.Listener {
  const [was, is] = [before.locality, after.locality];
  const leaves =
    was?.preferOwnZone === true &&
    is?.preferOwnZone === false &&
    is.minimumHealthyPercent === was.minimumHealthyPercent &&
    is.otherZonesWeightPercent === was.otherZonesWeightPercent;
  return leaves ? { ...after, locality: null } : after;
}

function put(
  desired: Desired,
  { place, index, resource }: { place: number; index: number; resource: Listener },
): Edited<Listener> {
  const balancer = desired.loadBalancers[place]!;
  const before = balancer.listeners;
  const listeners = index === before.length ? [...before, resource] : replaced(before, index, resource);
  const path = `loadBalancers[${place}].listeners[${index}]`;
  reading((violations) => checkUnique(listeners, { index, violations }));
  return { desired: checked(inPlace(desired, place, { ...balancer, listeners }), { path, request }), resource };
}

/** The changed one is looked at last, so that it is the one at fault. */
function checkUnique(
  listeners: readonly Listener[],
  { index, violations }: { index: number; violations: Violations },
): void {
  const others = without(listeners, index);
  checkListenersUnique([...others, listeners[index]!], violations, (position) =>
    position === others.length ? request : `listener "${others[position]!.name}"`,
  );
}

function inPlace(desired: Desired, place: number, balancer: LoadBalancer): Desired {
  return withLoadBalancers(desired, replaced(desired.loadBalancers, place, balancer));
}
