import type { Ip } from '../base/ip.js';
import type { BackendGroup, Desired, Listener } from './desired.js';
import { Unique } from './rules.js';
import type { Violations } from './violations.js';

export interface GroupEntry {
  readonly group: BackendGroup;
  readonly path: string;
  /** Indexes of the backends that name a port. */
  readonly withPort: readonly number[];
}

interface ListenerAt {
  readonly listener: Listener;
  readonly path: string;
}

/** Groups by name. */
export function checkGroups(
  { backendGroups }: Desired,
  { vips, violations }: { vips: ReadonlyMap<Ip, string>; violations: Violations },
): ReadonlyMap<string, GroupEntry> {
  const names = new Unique('backend group name', violations, (index) => `backendGroups[${index}].name`);
  const groups = new Map<string, GroupEntry>();
  backendGroups.forEach((group, i) => {
    const path = `backendGroups[${i}]`;
    if (group.name !== '') names.add(group.name, i);
    const withPort: number[] = [];
    group.backends.forEach(({ address, port }, j) => {
      const vip = vips.get(address);
      if (vip !== undefined) {
        violations.add(
          `${path}.backends[${j}].address`,
          `${address} is the VIP of ${vip}: a backend is reached at an address of its own`,
        );
      }
      if (port !== 0) withPort.push(j);
    });
    groups.set(group.name, { group, path, withPort });
  });
  return groups;
}

export function checkPorts({ listener, path }: ListenerAt, entry: GroupEntry, violations: Violations): void {
  if (entry.group.portMapping) return;
  for (const index of entry.withPort) {
    const { port } = entry.group.backends[index]!;
    if (port === listener.port || port > 65535) continue;
    violations.add(
      `${entry.path}.backends[${index}].port`,
      `${port} is not the port of ${path} (${listener.port}): leave it out, or, where the backends' own program maps ` +
        `ports ("spillway backend attach --map"), set portMapping of ${entry.path}`,
    );
  }
}

/** Of QCH: every backend has an id of the length that the listener's configs say. */
export function checkServerIds({ listener, path }: ListenerAt, entry: GroupEntry, violations: Violations): void {
  const length = listener.quic[0]?.serverIdLength;
  if (length === undefined) return;
  entry.group.backends.forEach(({ quicServerId }, index) => {
    if (quicServerId.length === length) return;
    violations.add(
      `${entry.path}.backends[${index}].quicServerId`,
      quicServerId.length === 0
        ? `required, ${length} bytes: ${path} has the scheduler QCH`
        : `${quicServerId.length} bytes; the configs of ${path}.quic say ${length}`,
    );
  });
}
