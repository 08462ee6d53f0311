import type { Config } from '../api/generated/messages.generated.js';
import type { Desired } from './desired.js';
import { checkReferences } from './references.js';
import { readAccessList } from './validate_access_list.js';
import { readAddressPool } from './validate_address_pool.js';
import { readBackendGroup } from './validate_backend_group.js';
import { readLoadBalancer } from './validate_load_balancer.js';
import { Violations } from './violations.js';

/**
 * A document as the desired state: defaults filled in, addresses canonical, every reference known to resolve.
 * @throws InvalidError naming every field at fault by its path in the document.
 */
export function validate(config: Config): Desired {
  const violations = new Violations();
  const desired = {
    loadBalancers: config.loadBalancers.map((message, index) =>
      readLoadBalancer(message, { path: `loadBalancers[${index}]`, violations }),
    ),
    backendGroups: config.backendGroups.map((message, index) =>
      readBackendGroup(message, { path: `backendGroups[${index}]`, violations }),
    ),
    accessLists: config.accessLists.map((message, index) =>
      readAccessList(message, { path: `accessLists[${index}]`, violations }),
    ),
    addressPools: config.addressPools.map((message, index) =>
      readAddressPool(message, { path: `addressPools[${index}]`, violations }),
    ),
  };
  checkReferences(desired, violations);
  violations.throwIfAny();
  return desired;
}
