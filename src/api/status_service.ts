import { NotFoundError } from '../base/errors.js';
import type { Handlers } from './implement.js';
import { latest } from './latest.js';
import { toPoolUse, toStatus } from './messages.js';
import type { NodePort, StatusPort } from './port.js';

/** At most ten a second. */
const minIntervalMs = 100;

export function statusService(status: StatusPort): Handlers<'StatusService'> {
  return {
    listAddresses({ pool }) {
      const pools = status.addresses();
      const found = pool === '' ? pools : pools.filter(({ name }) => name === pool);
      if (pool !== '' && found.length === 0) throw new NotFoundError('address pool', pool);
      return { pools: found.map(toPoolUse) };
    },
    get: ({ summary }) => toStatus(status.get({ summary })),
    watch: ({ summary }, signal) =>
      latest(() => toStatus(status.get({ summary })), {
        subscribe: (onChange) => status.watch(onChange),
        minIntervalMs,
        signal,
      }),
  };
}

export function nodeService(node: NodePort): Handlers<'NodeService'> {
  return {
    getVersion: () => node.version(),
    reconcile: () => node.reconcile(),
    detach: () => node.detach(),
  };
}
