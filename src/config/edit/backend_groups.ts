import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError, PreconditionError } from '../../base/errors.js';
import type { BackendGroup, Desired } from '../desired.js';
import { readBackendGroup } from '../validate_backend_group.js';
import { toBackendGroup } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, some, withBackendGroups, without } from './common.js';

const request = 'backendGroup';

export function createBackendGroup(desired: Desired, from: message.BackendGroup): Edited<BackendGroup> {
  const { backendGroups } = desired;
  if (backendGroups.some(({ name }) => name === from.name)) throw new AlreadyExistsError(kinds.backendGroup, from.name);
  return put(desired, from, backendGroups.length);
}

export function updateBackendGroup(
  desired: Desired,
  name: string,
  change: (before: message.BackendGroup) => message.BackendGroup,
): Edited<BackendGroup> {
  const index = indexOf(desired.backendGroups, name, kinds.backendGroup);
  const before = toBackendGroup(desired.backendGroups[index]!);
  const after = { ...change(before), name };
  // A group that leaves GUE leaves its port too, unless another is set.
  const leaves = after.forwarding !== 'GUE' && after.tunnelPort === before.tunnelPort;
  return put(desired, leaves ? { ...after, tunnelPort: 0 } : after, index);
}

/** @throws PreconditionError naming the listeners that use it. */
export function deleteBackendGroup(desired: Desired, name: string): Desired {
  const index = indexOf(desired.backendGroups, name, kinds.backendGroup);
  const users = desired.loadBalancers.flatMap((balancer) =>
    balancer.listeners.filter((one) => one.backendGroup === name).map((one) => `${balancer.name}/${one.name}`),
  );
  if (users.length > 0) {
    const listeners = users.length === 1 ? `listener ${some(users)} uses` : `listeners ${some(users)} use`;
    throw new PreconditionError(
      `${listeners} backend group "${name}": delete ${users.length === 1 ? 'it' : 'them'}, or name another group there, first`,
    );
  }
  return withBackendGroups(desired, without(desired.backendGroups, index));
}

function put(desired: Desired, from: message.BackendGroup, index: number): Edited<BackendGroup> {
  const resource = reading((violations) => readBackendGroup(from, { path: request, violations }));
  const list = desired.backendGroups;
  const backendGroups = index === list.length ? [...list, resource] : replaced(list, index, resource);
  const path = `backendGroups[${index}]`;
  return { desired: checked(withBackendGroups(desired, backendGroups), { path, request }), resource };
}
