import type * as message from '../api/generated/messages.generated.js';
import type { AccessList, Prefix } from './desired.js';
import { readPrefix } from './prefix.js';
import { type At, checkName, checkText } from './rules.js';

/** Of one list: a file of another kind would else be answered with a violation for each of its lines. */
const maxFaults = 20;

/** What can be said of an access list without looking at any other resource. */
export function readAccessList(from: message.AccessList, { path, violations }: At): AccessList {
  checkName(from.name, { path: `${path}.name`, violations });
  checkText(from.description, 1024, { path: `${path}.description`, violations });
  return {
    name: from.name,
    entries: readEntries(from.entries, { path: `${path}.entries`, violations }),
    description: from.description,
  };
}

/** Canonical, IPv4 first, by address and then from wide to narrow, each once: 100,000 take a tenth of a second. */
export function readEntries(texts: readonly string[], { path, violations }: At): readonly Prefix[] {
  const entries = new Map<string, Prefix>();
  let faults = 0;
  for (let index = 0; index < texts.length; index++) {
    const read = readPrefix(texts[index]!);
    if (!('problem' in read)) entries.set(orderOf(read.first, read.prefix.bits), read.prefix);
    else if (++faults <= maxFaults) violations.add(`${path}[${index}]`, read.problem);
  }
  if (faults > maxFaults) violations.add(path, `${faults - maxFaults} more entries are no addresses or prefixes`);
  return [...entries.keys()].sort().map((key) => entries.get(key)!);
}

/** Compares as text in the order of entries, and is the same for the same prefix only. */
function orderOf(first: string, bits: number): string {
  return `${first.length === 8 ? '4' : '6'}${first}${String.fromCharCode(bits)}`;
}
