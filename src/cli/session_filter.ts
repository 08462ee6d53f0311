import type { Command } from 'commander';
import type { Input, messages } from '../api/client.js';
import { integer } from './globals.js';
import { parseWord } from './names.js';

export interface FilterOptions {
  readonly loadBalancer?: string;
  readonly listener?: string;
  readonly group?: string;
  readonly backend?: string;
  readonly client?: string;
  readonly vip?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly state?: string;
}

/** The same for every command that picks sessions; all that are given must match. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('--load-balancer <name>', 'of this load balancer')
    .option('--listener <name>', 'of this listener')
    .option('--group <name>', 'of this backend group')
    .option('--backend <name>', 'on this backend: NAME, or GROUP/NAME')
    .option('--client <prefix>', 'from this client: an address, or a prefix such as 198.51.100.0/24')
    .option('--vip <address>', 'to this VIP')
    .option('--port <number>', 'to this port of the VIP', integer({ min: 1, max: 65_535 }))
    .option('--protocol <name>', 'tcp or udp')
    .option('--state <name>', 'young, established or closing');
}

/** Null when nothing was asked for. @throws UsageError for words that are none. */
export function toFilter(options: FilterOptions): Input<messages.SessionFilter> | null {
  const { group: givenGroup, backend: given } = options;
  const slash = given?.indexOf('/') ?? -1;
  const group = slash > 0 ? given!.slice(0, slash) : givenGroup;
  const backend = slash > 0 ? given!.slice(slash + 1) : given;
  const filter: Input<messages.SessionFilter> = {
    ...(options.loadBalancer === undefined ? {} : { loadBalancer: options.loadBalancer }),
    ...(options.listener === undefined ? {} : { listener: options.listener }),
    ...(group === undefined ? {} : { backendGroup: group }),
    ...(backend === undefined ? {} : { backend }),
    ...(options.client === undefined ? {} : { client: options.client }),
    ...(options.vip === undefined ? {} : { vip: options.vip }),
    ...(options.port === undefined ? {} : { vipPort: options.port }),
    ...(options.protocol === undefined ? {} : { protocol: parseWord('protocol', options.protocol, ['TCP', 'UDP']) }),
    ...(options.state === undefined
      ? {}
      : { state: parseWord('state', options.state, ['YOUNG', 'ESTABLISHED', 'CLOSING']) }),
  };
  return Object.keys(filter).length === 0 ? null : filter;
}
