/** Who listens where on this host. */
import { familyOf, type Ip } from '../../base/ip.js';
import { formatMapping, type PortMapping } from '../mapping.js';
import { attachCommand, type Check, type Facts, good } from './check.js';

export interface Socket {
  readonly protocol: 'tcp' | 'udp';
  /** "0.0.0.0" and "::" take all. */
  readonly address: Ip;
  readonly port: number;
}

export interface PortFacts extends Facts {
  /** TCP that listens, UDP that is bound to no peer. */
  readonly sockets: readonly Socket[];
  /** net.ipv4.ip_local_port_range. */
  readonly ephemeral: { readonly first: number; readonly last: number };
  /** net.ipv4.ip_local_reserved_ports: "8080,9000-9010". */
  readonly reserved: string;
}

export function checkPorts(facts: PortFacts): readonly Check[] {
  return [...checkGuePort(facts), ...facts.rules.mappings.flatMap((mapping) => checkMapped(mapping, facts))];
}

function checkGuePort(facts: PortFacts): readonly Check[] {
  const { guePort } = facts.rules;
  if (guePort === null || facts.mode === null) return [];
  if (!facts.sockets.some(({ protocol, port }) => protocol === 'udp' && port === guePort)) {
    return [good('gue_port', `${guePort}: stripped before any firewall of this host, and nobody else's`)];
  }
  return [
    {
      name: 'gue_port',
      level: 'fail',
      detail: `a process here has UDP port ${guePort} (ss -lunp 'sport = :${guePort}')`,
      consequence:
        'it gets no packet from the network: what comes to that port is taken for GUE. Stop it, or have tunnelPort of the backend groups name another port',
      remedy: attachCommand(facts, { guePort: guePort === 6080 ? 6081 : 6080 }),
    },
  ];
}

function checkMapped(mapping: PortMapping, facts: PortFacts): readonly Check[] {
  const { protocol, host, hostPort } = mapping;
  const any = familyOf(host) === 4 ? ['0.0.0.0', '::'] : ['::'];
  const isHeard = facts.sockets.some(
    (socket) =>
      socket.protocol === protocol &&
      socket.port === hostPort &&
      (socket.address === host || any.includes(socket.address)),
  );
  const words = formatMapping(mapping);
  if (isHeard) return [good('listens', `${protocol} ${host}, port ${hostPort}`)];
  const { first, last } = facts.ephemeral;
  const isEphemeral = hostPort >= first && hostPort <= last && !isReserved(facts.reserved, hostPort);
  const nobody: Check = {
    name: 'listens',
    level: 'fail',
    detail: `nobody listens on ${protocol} ${host}, port ${hostPort} (${words})`,
    consequence: 'clients of the VIP are refused',
    remedy: `let the application listen on ${host}, port ${hostPort}; see ss -ln${protocol === 'tcp' ? 't' : 'u'}p`,
  };
  if (!isEphemeral) return [nobody];
  return [
    nobody,
    {
      name: 'ephemeral',
      level: 'warn',
      detail: `port ${hostPort} is one that outgoing connections of this host may take (${first} to ${last})`,
      consequence: 'such a connection would leave in the name of the VIP, and fail',
      remedy: `sysctl -w net.ipv4.ip_local_reserved_ports=${facts.reserved === '' ? '' : `${facts.reserved},`}${hostPort}`,
    },
  ];
}

export function isReserved(reserved: string, port: number): boolean {
  const ranges = reserved
    .split(',')
    .filter((part) => part !== '')
    .map((part) => part.split('-').map(Number));
  return ranges.some(([first = 0, last = first]) => port >= first && port <= last);
}
