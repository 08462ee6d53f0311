import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Ip, parseIp } from '../base/ip.js';
import { BackendError } from './errors.js';

export interface HostInterface {
  readonly name: string;
  readonly ifindex: number;
  /** Null for devices without an Ethernet address. */
  readonly mac: string | null;
  readonly mtu: number;
  readonly up: boolean;
  readonly addresses: readonly Ip[];
}

interface IpAddressJson {
  readonly ifname: string;
  readonly ifindex: number;
  readonly link_type?: string;
  readonly address?: string;
  readonly mtu: number;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string }[];
}

/**
 * The interfaces of this network namespace. By iproute2 and not by /sys/class/net, which under `nsenter --net` shows
 * those of another namespace; and not by getifaddrs, which leaves out interfaces without an address.
 */
export function readInterfaces(): readonly HostInterface[] {
  let text: string;
  try {
    text = execFileSync('ip', ['-json', 'address', 'show'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new BackendError('cannot list the interfaces: `ip -json address show` failed', 'Install iproute2.', {
      cause: error,
    });
  }
  return (JSON.parse(text) as readonly IpAddressJson[])
    .filter((entry) => entry.ifname !== undefined)
    .map((entry) => ({
      name: entry.ifname,
      ifindex: entry.ifindex,
      mac: entry.link_type === 'ether' && entry.address !== undefined ? entry.address : null,
      mtu: entry.mtu,
      up: entry.flags?.includes('UP') ?? false,
      addresses: (entry.addr_info ?? []).flatMap(({ local }) => parseIp(local ?? '') ?? []),
    }));
}

/** Addresses on lo that are not of every host: by house rule, VIPs. */
export function loopbackVips(interfaces: readonly HostInterface[]): readonly Ip[] {
  const addresses = interfaces.find(({ name }) => name === 'lo')?.addresses ?? [];
  return addresses.filter((address) => address !== '::1' && !address.startsWith('127.'));
}

/** A number below /proc/sys; null where there is none. Names of interfaces may hold dots, so the file is read. */
export function readSetting(path: string): number | null {
  try {
    return Number(readFileSync(`/proc/sys/${path}`, 'utf8'));
  } catch {
    return null;
  }
}
