/** What the doctor asks the kernel and iproute2. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { bytesToIp, familyOf, type Ip } from '../../base/ip.js';
import type { DefaultRoute } from '../checks/check.js';
import type { Socket } from '../checks/ports.js';
import { BackendError } from '../errors.js';

interface RouteJson {
  readonly dst?: string;
  readonly dev?: string;
  readonly type?: string;
  readonly nexthops?: readonly { readonly dev?: string }[];
  readonly metrics?: readonly { readonly advmss?: number }[];
}

/** The default routes of the main table; of one with several next hops, each. */
export function readDefaultRoutes(): readonly DefaultRoute[] {
  return ([4, 6] as const).flatMap((family) =>
    ip(`-${family}`, 'route', 'show', 'default').flatMap(({ dev, nexthops = [], metrics = [] }) =>
      [dev, ...nexthops.map((hop) => hop.dev)].flatMap((device) =>
        device === undefined
          ? []
          : [{ family, device, advmss: metrics.find(({ advmss }) => advmss !== undefined)?.advmss ?? null }],
      ),
    ),
  );
}

/** The device by which such a packet leaves, by all rules and tables; null: it would not. */
export function routeDevice(to: Ip, from: Ip | null): string | null {
  try {
    const [route] = ip(`-${familyOf(to)}`, 'route', 'get', to, ...(from === null ? [] : ['from', from]));
    return route?.type === 'unreachable' || route?.type === 'blackhole' ? null : (route?.dev ?? null);
  } catch {
    // "RTNETLINK answers: Network is unreachable": that is the answer.
    return null;
  }
}

function ip(...words: readonly string[]): readonly RouteJson[] {
  try {
    const text = execFileSync('ip', ['-json', ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return text.trim() === '' ? [] : (JSON.parse(text) as readonly RouteJson[]);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? (error as Error).message;
    throw new BackendError(`ip ${words.join(' ')}: ${said}`, 'Install iproute2.', { cause: error });
  }
}

const listening = { tcp: '0A', udp: '07' } as const;

/** Of this network namespace: TCP that listens, UDP that is bound to no peer. */
export function readSockets(): readonly Socket[] {
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    ['', '6'].flatMap((suffix) => {
      let text: string;
      try {
        text = readFileSync(`/proc/net/${protocol}${suffix}`, 'utf8');
      } catch {
        // A kernel without IPv6.
        return [];
      }
      return parseSockets(text, protocol);
    }),
  );
}

/** /proc/net/tcp and its like: addresses in hex, by words in the machine's order. */
export function parseSockets(text: string, protocol: 'tcp' | 'udp'): readonly Socket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (state !== listening[protocol] || (address.length !== 8 && address.length !== 32)) return [];
      return [{ protocol, address: parseHex(address), port: Number.parseInt(port, 16) }];
    });
}

function parseHex(hex: string): Ip {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = Buffer.concat(words.map((word) => Buffer.from(word, 'hex').reverse()));
  return bytes.length === 4 ? bytes.join('.') : bytesToIp(bytes);
}

export function readEphemeral(): { readonly first: number; readonly last: number } {
  const [first = 0, last = 0] = readSysctl('net/ipv4/ip_local_port_range').split(/\s+/).map(Number);
  return { first, last };
}

export function readReserved(): string {
  return readSysctl('net/ipv4/ip_local_reserved_ports');
}

function readSysctl(path: string): string {
  return readFileSync(`/proc/sys/${path}`, 'utf8').trim();
}
