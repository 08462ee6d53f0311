import type * as message from '../api/generated/messages.generated.js';
import { readAddress } from './address.js';
import { type Listener, type LoadBalancer, noLimits } from './desired.js';
import { type At, checkName, checkText, Unique } from './rules.js';
import { readListener } from './validate_listener.js';
import { join, show, type Violations } from './violations.js';

const maxAddresses = 32;
const maxLabels = 64;

/** What can be said of a LoadBalancer without looking at any other resource. */
export function readLoadBalancer(from: message.LoadBalancer, at: At): LoadBalancer {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  checkName(from.name, inside('name'));
  checkText(from.description, 1024, inside('description'));
  checkLabels(from.labels, inside('labels'));

  if (from.addresses.length === 0) violations.add(`${path}.addresses`, 'required: at least one VIP');
  if (from.addresses.length > maxAddresses) {
    violations.add(`${path}.addresses`, `${from.addresses.length} VIPs; at most ${maxAddresses}: use a second one`);
  }
  const addresses = from.addresses.map((text, index) => readAddress(text, at, `addresses[${index}]`) ?? '');
  const listeners = from.listeners.map((one, index) => readListener(one, inside(`listeners[${index}]`)));
  checkListenersUnique(listeners, violations, (index) => `${path}.listeners[${index}]`);
  return {
    name: from.name,
    addresses,
    listeners,
    description: from.description,
    labels: from.labels,
    addressRequest: null,
    limits: noLimits,
    maxSegmentSize: from.maxSegmentSize,
  };
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
