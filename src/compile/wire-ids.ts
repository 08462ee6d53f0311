import type { Ip } from '../base/ip.js';
import type { Backend, BackendGroup, Listener } from '../config/desired.js';
import { identityOf, serviceIdentity } from './identity.js';

/**
 * What listeners and backends are called between nodes: 32 bits, never 0, made of nothing but what the document says,
 * so that nodes need not have given out the same numbers. Within a node two listeners, or two backends of a group, may
 * come to the same digest (of 1,000 in one case of 10,000): whoever makes a dictionary has to look.
 */
export function serviceWireId(listener: Pick<Listener, 'protocol' | 'port' | 'scheduler'>, vip: Ip): number {
  return low32(serviceIdentity(listener, vip));
}

/** Looked up within the pool of a service: pools of one group have the same backends under the same digests. */
export function backendWireId(
  { name: group }: Pick<BackendGroup, 'name'>,
  { name, address }: Pick<Backend, 'name' | 'address'>,
): number {
  return low32(identityOf('wire backend', group, name, address));
}

function low32(identity: bigint): number {
  return Number(identity & 0xffff_ffffn) || 1;
}
