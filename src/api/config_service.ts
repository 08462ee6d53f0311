import { ConflictError, InvalidError } from '../base/errors.js';
import type { Desired, LoadBalancer } from '../config/desired.js';
import * as accessLists from '../config/edit/access_lists.js';
import * as addressPools from '../config/edit/address_pools.js';
import * as groups from '../config/edit/backend_groups.js';
import * as backends from '../config/edit/backends.js';
import type { Edited } from '../config/edit/common.js';
import * as listeners from '../config/edit/listeners.js';
import * as balancers from '../config/edit/load_balancers.js';
import { validate } from '../config/validate.js';
import {
  toAccessList,
  toAddressPool,
  toBackend,
  toBackendGroup,
  toConfig,
  toListener,
  toLoadBalancer,
  toTimestamp,
} from '../config/write.js';
import { applyMask } from './field_mask.js';
import type * as message from './generated/messages.generated.js';
import type { Handlers } from './implement.js';
import { latest } from './latest.js';
import type { ConfigPort, Versioned } from './port.js';

/** Lines of ApplyResponse.steps; step_count has the whole number. */
const maxSteps = 1000;
/** Of one edit against others at the same time; each try has seen somebody else succeed. */
const maxTries = 100;

export function configService(config: ConfigPort): Handlers<'ConfigService'> {
  const edit = async <T>(change: (desired: Desired) => Edited<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      const { desired: before, version } = config.current();
      const { desired, resource } = change(before);
      try {
        await config.apply(desired, { expectedVersion: version, validateOnly: false });
        return resource;
      } catch (error) {
        if (!(error instanceof ConflictError) || tries === maxTries) throw error;
      }
    }
  };
  const remove = async (change: (desired: Desired) => Desired): Promise<message.Empty> =>
    edit((desired) => ({ desired: change(desired), resource: {} }));

  /** With the addresses that it was given from a pool when it was applied. */
  const inForce = (resource: LoadBalancer): LoadBalancer => {
    if (resource.addressRequest === null) return resource;
    return config.current().desired.loadBalancers.find(({ name }) => name === resource.name) ?? resource;
  };

  return {
    async apply(request) {
      const desired = validate(required(request.config, 'config'));
      const expectedVersion = request.expectedVersion === undefined ? null : Number(request.expectedVersion);
      const done = await config.apply(desired, { expectedVersion, validateOnly: request.validateOnly });
      return { ...done, steps: done.steps.slice(0, maxSteps), stepCount: done.steps.length };
    },
    get: () => toVersionedConfig(config.current()),
    watch: (_, signal) =>
      latest(() => toVersionedConfig(config.current()), {
        subscribe: (onChange) => config.watch(onChange),
        minIntervalMs: 0,
        signal,
      }),

    createLoadBalancer: async (request) => {
      const from = required(request.loadBalancer, 'loadBalancer');
      return toLoadBalancer(inForce(await edit((desired) => balancers.createLoadBalancer(desired, from))));
    },
    updateLoadBalancer: async ({ loadBalancer, updateMask: mask }) => {
      const patch = required(loadBalancer, 'loadBalancer');
      const change = (before: message.LoadBalancer) => applyMask('spillway.v1.LoadBalancer', { before, patch, mask });
      return toLoadBalancer(
        inForce(await edit((desired) => balancers.updateLoadBalancer(desired, patch.name, change))),
      );
    },
    deleteLoadBalancer: ({ name }) => remove((desired) => balancers.deleteLoadBalancer(desired, name)),

    createListener: async ({ loadBalancer, listener }) => {
      const from = required(listener, 'listener');
      return toListener(await edit((desired) => listeners.createListener(desired, loadBalancer, from)));
    },
    updateListener: async ({ loadBalancer: balancerName, listener, updateMask: mask }) => {
      const patch = required(listener, 'listener');
      const change = (before: message.Listener) => applyMask('spillway.v1.Listener', { before, patch, mask });
      const target = { balancerName, name: patch.name };
      return toListener(await edit((desired) => listeners.updateListener(desired, target, change)));
    },
    deleteListener: ({ loadBalancer: balancerName, name }) =>
      remove((desired) => listeners.deleteListener(desired, { balancerName, name })),

    createBackendGroup: async ({ backendGroup }) => {
      const from = required(backendGroup, 'backendGroup');
      return toBackendGroup(await edit((desired) => groups.createBackendGroup(desired, from)));
    },
    updateBackendGroup: async ({ backendGroup, updateMask: mask }) => {
      const patch = required(backendGroup, 'backendGroup');
      const change = (before: message.BackendGroup) => applyMask('spillway.v1.BackendGroup', { before, patch, mask });
      return toBackendGroup(await edit((desired) => groups.updateBackendGroup(desired, patch.name, change)));
    },
    deleteBackendGroup: ({ name }) => remove((desired) => groups.deleteBackendGroup(desired, name)),

    createBackend: async ({ backendGroup, backend }) => {
      const from = required(backend, 'backend');
      return toBackend(await edit((desired) => backends.createBackend(desired, backendGroup, from)));
    },
    updateBackend: async ({ backendGroup: groupName, backend, updateMask: mask }) => {
      const patch = required(backend, 'backend');
      const change = (before: message.Backend) => applyMask('spillway.v1.Backend', { before, patch, mask });
      const target = { groupName, name: patch.name };
      return toBackend(await edit((desired) => backends.updateBackend(desired, target, change)));
    },
    deleteBackend: ({ backendGroup: groupName, name }) =>
      remove((desired) => backends.deleteBackend(desired, { groupName, name })),

    createAccessList: async ({ accessList }) => {
      const from = required(accessList, 'accessList');
      return toAccessList(await edit((desired) => accessLists.createAccessList(desired, from)));
    },
    updateAccessList: async ({ accessList, updateMask: mask }) => {
      const patch = required(accessList, 'accessList');
      const change = (before: message.AccessList) => applyMask('spillway.v1.AccessList', { before, patch, mask });
      return toAccessList(await edit((desired) => accessLists.updateAccessList(desired, patch.name, change)));
    },
    changeAccessListEntries: async ({ name, add, remove: gone }) => {
      const texts = { add, remove: gone };
      const done = await edit((desired) => accessLists.changeEntries(desired, name, texts));
      return { added: done.added, removed: done.removed, entryCount: done.entries.length };
    },
    deleteAccessList: ({ name }) => remove((desired) => accessLists.deleteAccessList(desired, name)),

    createAddressPool: async ({ addressPool }) => {
      const from = required(addressPool, 'addressPool');
      return toAddressPool(await edit((desired) => addressPools.createAddressPool(desired, from)));
    },
    updateAddressPool: async ({ addressPool, updateMask: mask }) => {
      const patch = required(addressPool, 'addressPool');
      const change = (before: message.AddressPool) => applyMask('spillway.v1.AddressPool', { before, patch, mask });
      return toAddressPool(await edit((desired) => addressPools.updateAddressPool(desired, patch.name, change)));
    },
    deleteAddressPool: ({ name }) => remove((desired) => addressPools.deleteAddressPool(desired, name)),
  };
}

function toVersionedConfig({ desired, version, appliedAtMs }: Versioned): message.VersionedConfig {
  return { config: toConfig(desired), version: BigInt(version), appliedAt: toTimestamp(appliedAtMs) };
}

function required<T>(value: T | null, field: string): T {
  if (value !== null) return value;
  throw new InvalidError([{ field, description: 'required' }]);
}
