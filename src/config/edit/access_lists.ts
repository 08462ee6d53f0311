import type * as message from '../../api/generated/messages.generated.js';
import { AlreadyExistsError, PreconditionError } from '../../base/errors.js';
import type { AccessList, Desired } from '../desired.js';
import { type Changed, changed, readEntries } from '../entries.js';
import { formatPrefix } from '../prefix.js';
import { readAccessList } from '../validate_access_list.js';
import { toAccessList } from '../write.js';
import { checked, type Edited, indexOf, kinds, reading, replaced, some, withAccessLists, without } from './common.js';

const request = 'accessList';

export function createAccessList(desired: Desired, from: message.AccessList): Edited<AccessList> {
  const { accessLists } = desired;
  if (accessLists.some(({ name }) => name === from.name)) throw new AlreadyExistsError(kinds.accessList, from.name);
  const resource = read(from);
  const path = `accessLists[${accessLists.length}]`;
  return { desired: checked(withAccessLists(desired, [...accessLists, resource]), { path, request }), resource };
}

/** Nothing else looks into a list, so its change looks at this list only. */
export function updateAccessList(
  desired: Desired,
  name: string,
  change: (before: message.AccessList) => message.AccessList,
): Edited<AccessList> {
  const index = indexOf(desired.accessLists, name, kinds.accessList);
  const resource = read({ ...change(toAccessList(desired.accessLists[index]!)), name });
  return { desired: withAccessLists(desired, replaced(desired.accessLists, index, resource)), resource };
}

/** What is there already is not added, what is not there not removed; what stands in both is refused. */
export function changeEntries(
  desired: Desired,
  name: string,
  texts: { readonly add: readonly string[]; readonly remove: readonly string[] },
): Edited<Changed> {
  const index = indexOf(desired.accessLists, name, kinds.accessList);
  const before = desired.accessLists[index]!;
  const resource = reading((violations) => {
    const add = readEntries(texts.add, { path: 'add', violations });
    const remove = readEntries(texts.remove, { path: 'remove', violations });
    const gone = new Set(remove.map(formatPrefix));
    const both = add.map(formatPrefix).filter((entry) => gone.has(entry));
    if (both.length > 0) violations.add('remove', `${some(both)} is to be added too: which is meant?`);
    return changed(before.entries, { add, remove });
  });
  if (resource.added + resource.removed === 0) return { desired, resource: { ...resource, entries: before.entries } };
  const list = { ...before, entries: resource.entries };
  return { desired: withAccessLists(desired, replaced(desired.accessLists, index, list)), resource };
}

/** @throws PreconditionError naming the listeners that use it. */
export function deleteAccessList(desired: Desired, name: string): Desired {
  const index = indexOf(desired.accessLists, name, kinds.accessList);
  const users = desired.loadBalancers.flatMap((balancer) =>
    balancer.listeners
      .filter(({ accessControl }) => accessControl?.accessList === name)
      .map((listener) => `${balancer.name}/${listener.name}`),
  );
  if (users.length > 0) {
    const [listeners, them] = users.length === 1 ? ['listener', 'it'] : ['listeners', 'them'];
    throw new PreconditionError(
      `${listeners} ${some(users)} use${users.length === 1 ? 's' : ''} access list "${name}": ` +
        `take accessControl from ${them}, or name another list there, first`,
    );
  }
  return withAccessLists(desired, without(desired.accessLists, index));
}

function read(from: message.AccessList): AccessList {
  return reading((violations) => readAccessList(from, { path: request, violations }));
}
