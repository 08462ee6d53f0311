import { familyOf, type Ip, ipToPlainBytes, parseIp } from '../base/ip.js';
import { BackendError } from './errors.js';

/** A VIP's port, and the host's own address and port that its packets are given to. */
export interface PortMapping {
  readonly protocol: 'tcp' | 'udp';
  readonly vip: Ip;
  readonly vipPort: number;
  readonly host: Ip;
  readonly hostPort: number;
}

/** "tcp:192.0.2.10:80=203.0.113.21:8080", "udp:[2001:db8::10]:53=[2001:db8:200::21]:5353"; null when it is none. */
export function parseMapping(text: string): PortMapping | null {
  const [, protocol, from, to] = /^(tcp|udp):([^=]+)=([^=]+)$/.exec(text) ?? [];
  const vip = parseEndpoint(from ?? '');
  const host = parseEndpoint(to ?? '');
  if (protocol === undefined || vip === null || host === null) return null;
  return {
    protocol: protocol as 'tcp' | 'udp',
    vip: vip.address,
    vipPort: vip.port,
    host: host.address,
    hostPort: host.port,
  };
}

export function formatMapping({ protocol, vip, vipPort, host, hostPort }: PortMapping): string {
  return `${protocol}:${formatEndpoint(vip, vipPort)}=${formatEndpoint(host, hostPort)}`;
}

interface Endpoint {
  readonly address: Ip;
  readonly port: number;
}

function parseEndpoint(text: string): Endpoint | null {
  const [, v6, v4, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseIp(v6 ?? v4 ?? '');
  const port = Number(digits);
  if (address === null || port < 1 || port > 65535) return null;
  return (familyOf(address) === 6) === (v6 !== undefined) ? { address, port } : null;
}

function formatEndpoint(address: Ip, port: number): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * The mappings, each once.
 * @throws BackendError when a reply's way back would not be clear, or the host would not take the packets.
 */
export function checkMappings(mappings: readonly PortMapping[]): readonly PortMapping[] {
  const unique = [...new Map(mappings.map((mapping) => [formatMapping(mapping), mapping])).values()];
  const byVip = new Map<string, PortMapping>();
  const byHost = new Map<string, PortMapping>();
  for (const mapping of unique) {
    refuseUnusable(mapping);
    const [vip, host] = keysOf(mapping);
    const sameVip = byVip.get(vip);
    if (sameVip !== undefined) {
      throw new BackendError(
        `--map ${formatMapping(mapping)}: ${vip} is mapped to ${keysOf(sameVip)[1]} already`,
        'One port of a VIP goes to one port of the host.',
      );
    }
    const sameHost = byHost.get(host);
    if (sameHost !== undefined) {
      throw new BackendError(
        `--map ${formatMapping(mapping)}: ${host} belongs to ${keysOf(sameHost)[0]} already`,
        'Mapping keeps no state: a reply from one port of the host must belong to one VIP and port. Let the application listen on a second port.',
      );
    }
    byVip.set(vip, mapping);
    byHost.set(host, mapping);
  }
  for (const [host, mapping] of byHost) {
    const next = byVip.get(host);
    if (next !== undefined) {
      throw new BackendError(
        `--map ${formatMapping(mapping)}: ${host} is itself mapped, by ${formatMapping(next)}`,
        'A packet is mapped once. Map straight to the last port.',
      );
    }
  }
  return unique;
}

function keysOf({ protocol, vip, vipPort, host, hostPort }: PortMapping): readonly [string, string] {
  return [`${protocol} ${formatEndpoint(vip, vipPort)}`, `${protocol} ${formatEndpoint(host, hostPort)}`];
}

function refuseUnusable(mapping: PortMapping): void {
  const refuse = (problem: string, hint: string) =>
    new BackendError(`--map ${formatMapping(mapping)}: ${problem}`, hint);
  const { vip, host } = mapping;
  if (familyOf(vip) !== familyOf(host)) {
    throw refuse(
      `${vip} is IPv${familyOf(vip)} and ${host} is IPv${familyOf(host)}`,
      'Map to an address of the same family.',
    );
  }
  for (const address of [vip, host]) {
    if (!isUnicast(address))
      throw refuse(`${address} is no unicast address of a host`, 'Name an address of this host.');
    if (isLoopback(address)) {
      throw refuse(
        `${address} is a loopback address, and the kernel drops packets that come to it from outside`,
        "Let the application listen on the host's own address.",
      );
    }
  }
  if (vip === host && mapping.vipPort === mapping.hostPort) throw refuse('nothing would change', 'Leave it out.');
}

function isLoopback(ip: Ip): boolean {
  return familyOf(ip) === 4 ? ip.startsWith('127.') : ip === '::1';
}

function isUnicast(ip: Ip): boolean {
  const [first = 0, ...rest] = ipToPlainBytes(ip);
  if (familyOf(ip) === 4) return first > 0 && first < 224;
  return first !== 0xff && (first !== 0 || rest.some((byte) => byte !== 0));
}

/** Of one address: how many VIPs' ports lead to it or it is the VIP of. */
export function mappedVips(mappings: readonly PortMapping[]): readonly Ip[] {
  return [...new Set(mappings.map(({ vip }) => vip))];
}

export function mappedHosts(mappings: readonly PortMapping[]): readonly Ip[] {
  return [...new Set(mappings.map(({ host }) => host))];
}
