import type * as message from '../api/generated/messages.generated.js';
import type { AddressPool, AddressScope, Prefix } from './desired.js';
import { contains, formatPrefix, type ReadPrefix, rangeOf, readPrefix } from './prefix.js';
import { type At, checkName, checkText } from './rules.js';
import { unknown } from './validate_listener.js';

const maxPrefixes = 256;
const maxReserved = 1024;

/** What can be said of a pool without looking at any other resource. */
export function readAddressPool(from: message.AddressPool, at: At): AddressPool {
  const { path, violations } = at;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  checkName(from.name, inside('name'));
  checkText(from.description, 1024, inside('description'));
  const scope = readScope(from.scope, inside('scope'));
  if (scope === null && from.scope === 'ADDRESS_SCOPE_UNSPECIFIED') {
    violations.add(`${path}.scope`, 'required: PUBLIC or PRIVATE');
  }
  if (from.prefixes.length === 0) violations.add(`${path}.prefixes`, 'required: at least one prefix or address');
  const prefixes = readPrefixes(from.prefixes, { at: inside('prefixes'), most: maxPrefixes });
  for (const [index, read] of prefixes.entries()) checkUsable(read, inside(`prefixes[${index}]`));
  const reserved = readPrefixes(from.reserved, { at: inside('reserved'), most: maxReserved });
  checkReserved(reserved, prefixes, at);
  return {
    name: from.name,
    scope: scope ?? 'PUBLIC',
    prefixes: known(prefixes),
    reserved: known(reserved),
    description: from.description,
  };
}

/** Null for an unspecified one. */
export function readScope(scope: message.AddressScope, at: At): AddressScope | null {
  if (scope === 'PUBLIC' || scope === 'PRIVATE') return scope;
  return scope === 'ADDRESS_SCOPE_UNSPECIFIED' ? null : unknown(scope, 'PUBLIC or PRIVATE', at);
}

type Found = ReadPrefix | null;

function readPrefixes(texts: readonly string[], { at, most }: { at: At; most: number }): readonly Found[] {
  const { path, violations } = at;
  if (texts.length > most) violations.add(path, `${texts.length} prefixes; at most ${most}: use wider ones`);
  return texts.slice(0, most).map((text, index) => {
    const read = readPrefix(text);
    if (!('problem' in read)) return read;
    violations.add(`${path}[${index}]`, read.problem);
    return null;
  });
}

function known(found: readonly Found[]): readonly Prefix[] {
  return found.flatMap((one) => (one === null ? [] : [one.prefix]));
}

/** As address.ts has it for a VIP that is given by hand. */
const unusable: readonly (readonly [kind: string, range: { first: string; last: string }])[] = (
  [
    ['"this network"', '0.0.0.0', 8],
    ['loopback', '127.0.0.0', 8],
    ['link-local', '169.254.0.0', 16],
    ['multicast', '224.0.0.0', 4],
    ['broadcast or reserved', '240.0.0.0', 4],
    ['unspecified or loopback', '::', 127],
    ['link-local', 'fe80::', 10],
    ['multicast', 'ff00::', 8],
  ] as const
).map(([kind, address, bits]) => [`${kind} (${address}/${bits})`, rangeOf({ address, bits })]);

function checkUsable(read: Found, { path, violations }: At): void {
  if (read === null) return;
  // Of two prefixes that meet, one contains the other.
  const met = unusable.find(([, range]) => contains(range, read) || contains(read, range));
  if (met === undefined) return;
  violations.add(
    path,
    `${formatPrefix(read.prefix)} has addresses that no host can be reached at, ${met[0]}: leave them out`,
  );
}

function checkReserved(reserved: readonly Found[], prefixes: readonly Found[], { path, violations }: At): void {
  for (const [index, read] of reserved.entries()) {
    if (read === null || prefixes.some((prefix) => prefix === null || contains(prefix, read))) continue;
    violations.add(
      `${path}.reserved[${index}]`,
      `${formatPrefix(read.prefix)} lies within no prefix of this pool, so it is never given out: leave it out`,
    );
  }
}
