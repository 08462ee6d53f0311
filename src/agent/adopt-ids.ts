import { egressDevice, egressIdentity } from '../compile/egress.js';
import { IdLedger } from '../compile/ids.js';
import type { Tables } from '../compile/tables.js';
import type { AgentConfig } from '../config/agent.js';
import type { DataPlaneNode } from './dataplane-node.js';

/** Numbers that sessions in the table know are kept: the kernel's rows say whose they are. */
export function adoptIds(config: AgentConfig, node: DataPlaneNode, have: Tables): IdLedger {
  const { services, backends, backendGroups } = config.limits;
  const room = node.control.limits;
  const ids = new IdLedger({
    services: Math.min(services, room.services),
    backends: Math.min(backends, room.backends),
    pools: Math.min(backendGroups, room.pools),
  });
  for (const [id, { identity }] of have.services) ids.services.adopt(identity, id);
  for (const [id, { identity }] of have.pools) ids.pools.adopt(identity, id);
  for (const [id, { identity }] of have.backends) ids.backends.adopt(identity, id);
  for (const [id, row] of have.egresses) ids.egresses.adopt(egressIdentity(egressDevice(row)), id);
  for (const [id, { identity }] of have.limits) ids.limits.adopt(identity, id);
  for (const [id, { recipe }] of have.quicRoutings) ids.quicRoutings.adopt(recipe, id);
  return ids;
}
