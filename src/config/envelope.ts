import { createHash } from 'node:crypto';
import { codec } from '../api/codec.js';
import { InvalidError } from '../base/errors.js';
import type { Ip } from '../base/ip.js';
import type { AccessList, AddressPool, BackendGroup, Desired, LoadBalancer } from './desired.js';
import { readConfig } from './read.js';
import { validate } from './validate.js';
import { toAccessList, toAddressPool, toBackendGroup, toLoadBalancer } from './write.js';

export interface Saved {
  readonly desired: Desired;
  readonly version: number;
  readonly appliedAtMs: number;
  /** Addresses of pools that rest before they are given again, the one given up last at the end. */
  readonly released: readonly Ip[];
}

/** Raised when a reader of today would misread what is written. Format 1 knew nothing of addresses that are given. */
const format = 2;
const readable: readonly unknown[] = [1, format];

/**
 * One JSON object: sha256 over all that follows, then format, version, appliedAtMs, released and config (the document,
 * with the addresses that LoadBalancers were given).
 */
export function encodeEnvelope({ desired, version, appliedAtMs, released }: Saved): string {
  const balancers = desired.loadBalancers.map(loadBalancerText).join(',');
  const groups = desired.backendGroups.map(backendGroupText).join(',');
  const lists = desired.accessLists.map(accessListText).join(',');
  const pools = desired.addressPools.map(addressPoolText).join(',');
  const config = `{"loadBalancers":[${balancers}],"backendGroups":[${groups}],"accessLists":[${lists}],"addressPools":[${pools}]}`;
  const content = `{"format":${format},"version":${version},"appliedAtMs":${appliedAtMs},"released":${JSON.stringify(released)},"config":${config}}`;
  return `{"sha256":"${digest(content)}",${content.slice(1)}\n`;
}

const loadBalancerText = remembered((from: LoadBalancer) =>
  codec('spillway.v1.LoadBalancer').toJson(toLoadBalancer(from)),
);
const backendGroupText = remembered((from: BackendGroup) =>
  codec('spillway.v1.BackendGroup').toJson(toBackendGroup(from)),
);

const accessListText = remembered((from: AccessList) => codec('spillway.v1.AccessList').toJson(toAccessList(from)));
const addressPoolText = remembered((from: AddressPool) => codec('spillway.v1.AddressPool').toJson(toAddressPool(from)));

/** Resources are immutable and shared between states, so one changed weight of 50,000 costs one group's text. */
function remembered<T extends object>(toJson: (resource: T) => unknown): (resource: T) => string {
  const texts = new WeakMap<T, string>();
  return (resource) => {
    const known = texts.get(resource);
    if (known !== undefined) return known;
    const text = JSON.stringify(toJson(resource));
    texts.set(resource, text);
    return text;
  };
}

/** @throws Error saying what is damaged: nothing of such a file may be used. */
export function decodeEnvelope(text: string): Saved {
  const { sha256, ...content } = parse(text);
  if (!readable.includes(content['format'])) {
    throw new Error(`format ${JSON.stringify(content['format'])}, this version reads ${readable.join(' and ')}`);
  }
  // What JSON.stringify wrote, JSON.parse and JSON.stringify give again to the byte.
  if (sha256 !== digest(JSON.stringify(content))) throw new Error('its checksum does not match its content');
  const { version, appliedAtMs, config, released } = content;
  if (!isCount(version) || !isCount(appliedAtMs)) throw new Error('version or appliedAtMs is no whole number');
  try {
    return { desired: validate(readConfig(config)), version, appliedAtMs, released: addresses(released) };
  } catch (error) {
    // Written whole, so by a version with other rules.
    if (error instanceof InvalidError) throw new Error(`this version refuses its content: ${error.message}`);
    throw error;
  }
}

function parse(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(text === '' ? 'it is empty' : 'it is no whole JSON: truncated or overwritten');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('it is no JSON object');
  return value as Record<string, unknown>;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Without them the next address that is given may be one that was given up just now: no reason to refuse the rest. */
function addresses(value: unknown): readonly Ip[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
