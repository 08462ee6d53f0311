import type * as message from '../api/generated/messages.generated.js';
import type { Ip } from '../base/ip.js';
import { readAddress } from './address.js';
import type { Listener, LoadBalancer } from './desired.js';
import { type At, checkName, checkText, Unique } from './rules.js';
import { readAddressRequest } from './validate_address_request.js';
import { readAnnouncement, readZones } from './validate_announcement.js';
import { readLimits } from './validate_limits.js';
import { readListener } from './validate_listener.js';
import { join, show, type Violations } from './violations.js';

const maxAddresses = 32;
const maxLabels = 64;

/**
 * What can be said of a LoadBalancer without looking at any other resource. What the document says was assigned is taken
 * up, and holds as long as a pool gives it: see src/addresses.
 */
export function readLoadBalancer(from: message.LoadBalancer, at: At): LoadBalancer {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  checkName(from.name, inside('name'));
  checkText(from.description, 1024, inside('description'));
  checkLabels(from.labels, inside('labels'));
  const addressRequest = readAddressRequest(from, at);
  const addresses =
    addressRequest === null
      ? readAddresses(from.addresses, { at, field: 'addresses' })
      : readAddresses(from.assignedAddresses, { at, field: 'assignedAddresses' });
  const listeners = from.listeners.map((one, index) => readListener(one, inside(`listeners[${index}]`)));
  checkListenersUnique(listeners, violations, (index) => `${path}.listeners[${index}]`);
  return {
    name: from.name,
    addresses,
    listeners,
    description: from.description,
    labels: from.labels,
    addressRequest,
    limits: readLimits(from.limits, inside('limits')),
    maxSegmentSize: readMaxSegmentSize(from.maxSegmentSize, inside('maxSegmentSize')),
    ...readZones(from, at),
    announcement: readAnnouncement(from.announcement, inside('announcement')),
  };
}

function readAddresses(texts: readonly string[], { at, field }: { at: At; field: string }): readonly Ip[] {
  if (texts.length > maxAddresses) {
    at.violations.add(`${at.path}.${field}`, `${texts.length} VIPs; at most ${maxAddresses}: use a second one`);
  }
  return texts.map((text, index) => readAddress(text, at, `${field}[${index}]`) ?? '');
}

/** From the least that IPv4's 128 bytes of minimum leave to the most that an IP packet holds. */
function readMaxSegmentSize(bytes: number, { path, violations }: At): number {
  if (bytes !== 0 && (bytes < 88 || bytes > 65_495)) {
    violations.add(path, `${bytes} is not within 88 to 65495 bytes (0: SYNs are left alone)`);
  }
  return bytes;
}

export function checkListenersUnique(
  listeners: readonly Listener[],
  violations: Violations,
  pathOf: (index: number) => string,
): void {
  const names = new Unique('listener name', violations, (index) => `${pathOf(index)}.name`);
  const ports = new Unique('protocol and port', violations, (index) => `${pathOf(index)}.port`);
  listeners.forEach(({ name, protocol, port }, index) => {
    names.add(name, index);
    ports.add(`${protocol}/${port}`, index);
  });
}

function checkLabels(labels: Readonly<Record<string, string>>, { path, violations }: At): void {
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) violations.add(path, `${entries.length} labels; at most ${maxLabels}`);
  for (const [key, value] of entries) {
    if (!/^[A-Za-z0-9][\w./-]{0,62}$/.test(key)) {
      violations.add(
        join(path, key),
        `${show(key)} is no label key: a letter or digit, then letters, digits, "-", "_", "." or "/", up to 63 characters`,
      );
    }
    checkText(value, 255, { path: join(path, key), violations });
  }
}
