/** A good document, and one thing changed in it: what the validator says of that. */
import test from 'ava';
import { InvalidError } from '../../../src/base/errors.js';
import { readConfig } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';

export type Document = Record<string, unknown>;

export const backend = { name: 'be1', address: '203.0.113.1' };
export const group = { name: 'web', forwarding: 'L2_DSR', backends: [backend] };
export const listener = { protocol: 'TCP', port: 443, backendGroup: 'web' };
export const balancer = { name: 'lb', addresses: ['192.0.2.1'], listeners: [listener] };

/** `rest`: other lists of resources, or those of the document replaced. */
export const withBalancer = (change: Document, rest: Document = {}): Document => ({
  loadBalancers: [{ ...balancer, ...change }],
  backendGroups: [group],
  ...rest,
});
export const withListener = (change: Document, rest: Document = {}): Document =>
  withBalancer({ listeners: [{ ...listener, ...change }] }, rest);
export const withCheck = (healthCheck: Document): Document => withListener({ healthCheck });
export const withGroup = (change: Document): Document => ({
  loadBalancers: [balancer],
  backendGroups: [{ ...group, ...change }],
});
export const withBackend = (change: Document): Document => withGroup({ backends: [{ ...backend, ...change }] });

export const pool = { name: 'p', scope: 'PUBLIC', prefixes: ['198.18.0.0/24'] };
export const withRequest = (addressRequest: Document | null, addressPools: readonly Document[] = [pool]): Document =>
  withBalancer({ addresses: [], addressRequest }, { addressPools });

/** Their paths. */
export const lb = 'loadBalancers[0]';
export const l0 = `${lb}.listeners[0]`;
export const b0 = 'backendGroups[0].backends[0]';

/** What is wrong, by path. */
export function faults(document: Document): Record<string, string> {
  try {
    validate(readConfig(document));
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    return Object.fromEntries(error.violations.map(({ field, description }) => [field, description]));
  }
  return {};
}

export function accepted(cases: readonly (readonly [name: string, document: Document])[]): void {
  for (const [name, document] of cases) {
    test(`accepted: ${name}`, (t) => {
      t.deepEqual(faults(document), {});
    });
  }
}

export function refused(
  cases: readonly (readonly [name: string, document: Document, expected: Record<string, string>])[],
): void {
  for (const [name, document, expected] of cases) {
    test(`refused: ${name}`, (t) => {
      t.deepEqual(faults(document), expected);
    });
  }
}
