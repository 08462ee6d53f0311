import { familyOf, type Ip } from '../base/ip.js';
import type { BackendGroup, Desired, Listener, LoadBalancer } from './desired.js';
import { Unique } from './rules.js';
import { didYouMean } from './suggest.js';
import type { Violations } from './violations.js';

/**
 * What holds between resources. Reads of a backend only its name, address and port: edit.ts skips this check for
 * changes of anything else.
 */
export function checkReferences(desired: Desired, violations: Violations): void {
  const vips = checkVips(desired, violations);
  const groups = checkGroups(desired, { vips, violations });
  desired.loadBalancers.forEach((balancer, i) => {
    balancer.listeners.forEach((listener, j) => {
      const path = `loadBalancers[${i}].listeners[${j}]`;
      const entry = groups.get(listener.backendGroup);
      if (entry !== undefined) {
        checkPorts({ listener, path }, entry, violations);
        checkFamilies({ balancer, path }, entry, violations);
      } else if (listener.backendGroup !== '') {
        violations.add(
          `${path}.backendGroup`,
          `no backend group "${listener.backendGroup}"${didYouMean(listener.backendGroup, groups.keys())}`,
        );
      }
    });
  });
}

function checkVips({ loadBalancers }: Desired, violations: Violations): ReadonlyMap<Ip, string> {
  const names = new Unique('LoadBalancer name', violations, (index) => `loadBalancers[${index}].name`);
  const vips = new Map<Ip, string>();
  loadBalancers.forEach(({ name, addresses }, i) => {
    if (name !== '') names.add(name, i);
    addresses.forEach((address, j) => {
      const path = `loadBalancers[${i}].addresses[${j}]`;
      const earlier = vips.get(address);
      if (address === '') return;
      if (earlier === undefined) vips.set(address, path);
      else violations.add(path, `VIP ${address} is taken by ${earlier}: a VIP belongs to one LoadBalancer, once`);
    });
  });
  return vips;
}

interface GroupEntry {
  readonly group: BackendGroup;
  readonly path: string;
  /** Index of the first IPv4 backend, which cannot carry IPv6 in IPIP; -1: none. */
  readonly firstIpv4: number;
  /** Indexes of the backends that name a port. */
  readonly withPort: readonly number[];
}

function checkGroups(
  { backendGroups }: Desired,
  { vips, violations }: { vips: ReadonlyMap<Ip, string>; violations: Violations },
): ReadonlyMap<string, GroupEntry> {
  const names = new Unique('backend group name', violations, (index) => `backendGroups[${index}].name`);
  const groups = new Map<string, GroupEntry>();
  backendGroups.forEach((group, i) => {
    const path = `backendGroups[${i}]`;
    if (group.name !== '') names.add(group.name, i);
    const withPort: number[] = [];
    let firstIpv4 = -1;
    group.backends.forEach(({ address, port, family }, j) => {
      const vip = vips.get(address);
      if (vip !== undefined) {
        violations.add(
          `${path}.backends[${j}].address`,
          `${address} is the VIP of ${vip}: a backend is reached at an address of its own`,
        );
      }
      if (port !== 0) withPort.push(j);
      if (firstIpv4 < 0 && family === 4 && address !== '') firstIpv4 = j;
    });
    groups.set(group.name, { group, path, firstIpv4, withPort });
  });
  return groups;
}

function checkPorts(
  { listener, path }: { listener: Listener; path: string },
  { group, path: groupPath, withPort }: GroupEntry,
  violations: Violations,
): void {
  for (const index of withPort) {
    const { port } = group.backends[index]!;
    if (port === listener.port || port > 65535) continue;
    violations.add(
      `${groupPath}.backends[${index}].port`,
      `${port} is not the port of ${path} (${listener.port}), and ${group.forwarding} cannot change ports: leave it out`,
    );
  }
}

function checkFamilies(
  { balancer, path }: { balancer: LoadBalancer; path: string },
  { group, path: groupPath, firstIpv4 }: GroupEntry,
  violations: Violations,
): void {
  if (group.forwarding !== 'IPIP' || firstIpv4 < 0) return;
  const vip = balancer.addresses.find((address) => address !== '' && familyOf(address) === 6);
  if (vip === undefined) return;
  violations.add(
    `${path}.backendGroup`,
    `IPv6 VIP ${vip} cannot go by IPIP to the IPv4 address ${group.backends[firstIpv4]!.address} ` +
      `(${groupPath}.backends[${firstIpv4}]): give that backend an IPv6 address, which carries both families`,
  );
}
