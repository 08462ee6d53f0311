import type * as message from '../api/generated/messages.generated.js';
import { familyOf } from '../base/ip.js';
import { readAddress } from './address.js';
import type { Backend, BackendGroup, Forwarding } from './desired.js';
import { type At, checkName, checkPort, checkText, checkZone, isZone, namePattern, Unique } from './rules.js';
import { unknown } from './validate_listener.js';
import { maxServerId } from './validate_quic.js';

/** What can be said of a group without looking at any other resource. */
export function readBackendGroup(from: message.BackendGroup, at: At): BackendGroup {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  checkName(from.name, inside('name'));
  checkText(from.description, 1024, inside('description'));
  const forwarding = readForwarding(from.forwarding, inside('forwarding'));
  const backends = from.backends.map((one, index) => readBackend(one, inside(`backends[${index}]`)));
  checkBackendsUnique(backends, at);
  return {
    name: from.name,
    forwarding,
    backends,
    description: from.description,
    tunnelPort: readTunnelPort(from, inside('tunnelPort')),
    portMapping: from.portMapping,
  };
}

export function checkBackendsUnique(backends: readonly Backend[], { path, violations }: At): void {
  const names = new Unique('backend name', violations, (index) => `${path}.backends[${index}].name`);
  const addresses = new Unique('address', violations, (index) => `${path}.backends[${index}].address`);
  const serverIds = new Unique('QUIC server id', violations, (index) => `${path}.backends[${index}].quicServerId`);
  for (let index = 0; index < backends.length; index++) {
    const { name, address, quicServerId } = backends[index]!;
    // A name by default repeats only with its address, which says it already.
    if (name !== '' && name !== address) names.add(name, index);
    if (address !== '') addresses.add(address, index);
    if (quicServerId.length > 0) serverIds.add(hexOf(quicServerId), index);
  }
}

export function readBackend(from: message.Backend, at: At): Backend {
  const { path, violations } = at;
  const address = readAddress(from.address, at, 'address') ?? '';
  // The default name is no name by the rule for names, but must be accepted where Get's answer comes back.
  const name = from.name === '' || from.name === from.address ? address : from.name;
  if (name !== address && !namePattern.test(name)) checkName(name, { path: `${path}.name`, violations });
  const weight = from.weight ?? 100;
  if (weight > 100) violations.add(`${path}.weight`, `${weight} is not within 0 to 100 (0 drains)`);
  if (from.port !== 0) checkPort(from.port, { path: `${path}.port`, violations });
  if (!isZone(from.zone)) checkZone(from.zone, { path: `${path}.zone`, violations });
  const quicServerId = readServerId(from.quicServerId, { path: `${path}.quicServerId`, violations });
  return { name, address, family: familyOf(address), port: from.port, weight, zone: from.zone, quicServerId };
}

/** One for all backends without: there are tens of thousands. */
const none = new Uint8Array();

function readServerId(bytes: Uint8Array, { path, violations }: At): Uint8Array {
  if (bytes.length > maxServerId) violations.add(path, `${bytes.length} bytes; at most ${maxServerId}`);
  // A copy: from the wire it is a view that would keep the whole request in memory.
  return bytes.length === 0 ? none : Uint8Array.from(bytes);
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

const unsetTunnelPort = 6080;

function readTunnelPort({ tunnelPort, forwarding }: message.BackendGroup, at: At): number {
  if (tunnelPort === 0) return unsetTunnelPort;
  if (forwarding !== 'GUE') at.violations.add(at.path, 'only with GUE, which goes by UDP: leave it out');
  else checkPort(tunnelPort, at);
  return tunnelPort;
}

function readForwarding(forwarding: message.Forwarding, at: At): Forwarding {
  switch (forwarding) {
    case 'L2_DSR':
    case 'IPIP':
    case 'GUE':
      return forwarding;
    case 'FORWARDING_UNSPECIFIED':
      at.violations.add(
        at.path,
        'required: L2_DSR (backends on a segment with this node), or IPIP or GUE (backends anywhere, decapsulating)',
      );
      return 'L2_DSR';
    default:
      return unknown(forwarding, 'L2_DSR, IPIP or GUE', at) ?? 'L2_DSR';
  }
}
