import type { Desired } from './desired.js';
import { checkPools, checkRequests, checkVips } from './references_addresses.js';
import { checkGroups, checkPorts, checkServerIds } from './references_groups.js';
import { Unique } from './rules.js';
import { didYouMean } from './suggest.js';
import type { Violations } from './violations.js';

/**
 * What holds between resources. Reads of a backend only its name, address, port and QUIC server id, and of an access
 * list only its name: edit/ skips this check for changes of anything else.
 */
export function checkReferences(desired: Desired, violations: Violations): void {
  const vips = checkVips(desired, violations);
  const groups = checkGroups(desired, { vips, violations });
  const lists = checkAccessListNames(desired, violations);
  checkPools(desired, violations);
  checkRequests(desired, violations);
  desired.loadBalancers.forEach((balancer, i) => {
    balancer.listeners.forEach((listener, j) => {
      const path = `loadBalancers[${i}].listeners[${j}]`;
      const list = listener.accessControl?.accessList ?? '';
      if (list !== '' && !lists.has(list)) {
        violations.add(`${path}.accessControl.accessList`, `no access list "${list}"${didYouMean(list, lists)}`);
      }
      const entry = groups.get(listener.backendGroup);
      if (entry !== undefined) {
        checkPorts({ listener, path }, entry, violations);
        checkServerIds({ listener, path }, entry, violations);
      } else if (listener.backendGroup !== '') {
        violations.add(
          `${path}.backendGroup`,
          `no backend group "${listener.backendGroup}"${didYouMean(listener.backendGroup, groups.keys())}`,
        );
      }
    });
  });
}

function checkAccessListNames({ accessLists }: Desired, violations: Violations): ReadonlySet<string> {
  const names = new Unique('access list name', violations, (index) => `accessLists[${index}].name`);
  accessLists.forEach(({ name }, index) => {
    if (name !== '') names.add(name, index);
  });
  return new Set(accessLists.map(({ name }) => name));
}
