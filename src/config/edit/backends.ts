import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError } from '../../base/errors.js';
import type { Backend, BackendGroup, Desired } from '../desired.js';
import { hexOf, readBackend } from '../validate_backend_group.js';
import type { Violations } from '../violations.js';
import { toBackend } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, withBackendGroups, without } from './common.js';

const request = 'backend';

export function createBackend(desired: Desired, groupName: string, from: message.Backend): Edited<Backend> {
  const place = indexOf(desired.backendGroups, groupName, kinds.backendGroup);
  const { backends } = desired.backendGroups[place]!;
  const resource = reading((violations) => readBackend(from, { path: request, violations }));
  if (backends.some(({ name }) => name === resource.name)) throw new AlreadyExistsError(kinds.backend, resource.name);
  return checkedPut(desired, { place, index: backends.length, resource });
}

/** Weight and zone are compared with nothing outside the backend: their change looks at this backend only. */
export function updateBackend(
  desired: Desired,
  { groupName, name }: { groupName: string; name: string },
  change: (before: message.Backend) => message.Backend,
): Edited<Backend> {
  const place = indexOf(desired.backendGroups, groupName, kinds.backendGroup);
  const { backends } = desired.backendGroups[place]!;
  const index = indexOf(backends, name, kinds.backend);
  const before = backends[index]!;
  const changed = { ...change(toBackend(before)), name };
  const resource = reading((violations) => {
    checkDefaultName(before, changed, violations);
    return violations.list.length > 0 ? before : readBackend(changed, { path: request, violations });
  });
  if (resource.address !== before.address || resource.port !== before.port || !sameServerId(resource, before)) {
    return checkedPut(desired, { place, index, resource });
  }
  return { desired: put(desired, { place, index, resource }), resource };
}

export function deleteBackend(desired: Desired, { groupName, name }: { groupName: string; name: string }): Desired {
  const place = indexOf(desired.backendGroups, groupName, kinds.backendGroup);
  const group = desired.backendGroups[place]!;
  const backends = without(group.backends, indexOf(group.backends, name, kinds.backend));
  return inPlace(desired, place, { ...group, backends });
}

function checkDefaultName(before: Backend, changed: message.Backend, violations: Violations): void {
  if (before.name !== before.address || changed.address === before.address) return;
  violations.add(
    `${request}.address`,
    `backend "${before.name}" is named by its address, which therefore cannot change: delete it and create another`,
  );
}

function sameServerId({ quicServerId: a }: Backend, { quicServerId: b }: Backend): boolean {
  return a === b || Buffer.compare(a, b) === 0;
}

interface Placed {
  readonly place: number;
  readonly index: number;
  readonly resource: Backend;
}

function checkedPut(desired: Desired, placed: Placed): Edited<Backend> {
  const { place, index, resource } = placed;
  const others = desired.backendGroups[place]!.backends;
  const taken = (is: (one: Backend) => boolean) => others.find((one, position) => position !== index && is(one));
  reading((violations) => {
    const { address, quicServerId } = resource;
    const atAddress = taken((one) => one.address === address);
    if (atAddress !== undefined) {
      violations.add(`${request}.address`, `address "${address}" is taken by backend "${atAddress.name}"`);
    }
    const withId = quicServerId.length === 0 ? undefined : taken((one) => sameServerId(one, resource));
    if (withId !== undefined) {
      const id = hexOf(quicServerId);
      violations.add(`${request}.quicServerId`, `QUIC server id "${id}" is taken by backend "${withId.name}"`);
    }
  });
  const path = `backendGroups[${place}].backends[${index}]`;
  return { desired: checked(put(desired, placed), { path, request }), resource };
}

function put(desired: Desired, { place, index, resource }: Placed): Desired {
  const group = desired.backendGroups[place]!;
  const before = group.backends;
  const backends = index === before.length ? [...before, resource] : replaced(before, index, resource);
  return inPlace(desired, place, { ...group, backends });
}

function inPlace(desired: Desired, place: number, group: BackendGroup): Desired {
  return withBackendGroups(desired, replaced(desired.backendGroups, place, group));
}
