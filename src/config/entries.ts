import type { Prefix } from './desired.js';
import { formatPrefix, rangeOf, readPrefix } from './prefix.js';
import type { At } from './rules.js';

/** Of one list: a file of another kind would else be answered with a violation for each of its lines. */
const maxFaults = 20;

/** Canonical, IPv4 first, by address and then from wide to narrow, each once: 100,000 take a quarter of a second. */
export function readEntries(texts: readonly string[], { path, violations }: At): readonly Prefix[] {
  const entries = new Map<string, Prefix>();
  let faults = 0;
  for (let index = 0; index < texts.length; index++) {
    const read = readPrefix(texts[index]!);
    if (!('problem' in read)) entries.set(place(read.first, read.prefix.bits), read.prefix);
    else if (++faults <= maxFaults) violations.add(`${path}[${index}]`, read.problem);
  }
  if (faults > maxFaults) violations.add(path, `${faults - maxFaults} more entries are no addresses or prefixes`);
  return [...entries.keys()].sort().map((key) => entries.get(key)!);
}

export interface Changed {
  readonly entries: readonly Prefix[];
  readonly added: number;
  readonly removed: number;
}

/** All of them in order, none in both `add` and `remove`. What a few change of many costs a copy of the list. */
export function changed(
  entries: readonly Prefix[],
  { add, remove }: { readonly add: readonly Prefix[]; readonly remove: readonly Prefix[] },
): Changed {
  const result: Prefix[] = [];
  const counts = { added: 0, removed: 0 };
  let from = 0;
  for (const { prefix, comes } of inOrder(add, remove)) {
    const at = firstNotBefore(entries, prefix, from);
    for (; from < at; from++) result.push(entries[from]!);
    const there = at < entries.length && formatPrefix(entries[at]!) === formatPrefix(prefix);
    if (there) from++;
    if (comes) result.push(prefix);
    if (comes && !there) counts.added++;
    if (!comes && there) counts.removed++;
  }
  for (; from < entries.length; from++) result.push(entries[from]!);
  return { entries: result, ...counts };
}

function inOrder(add: readonly Prefix[], remove: readonly Prefix[]): { prefix: Prefix; comes: boolean }[] {
  const all = [
    ...add.map((prefix) => ({ prefix, comes: true, key: placeOf(prefix) })),
    ...remove.map((prefix) => ({ prefix, comes: false, key: placeOf(prefix) })),
  ];
  return all.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function firstNotBefore(entries: readonly Prefix[], prefix: Prefix, from: number): number {
  const wanted = placeOf(prefix);
  let [low, high] = [from, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (placeOf(entries[middle]!) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Compares as text in the order of entries, and is the same for the same prefix only. */
function place(first: string, bits: number): string {
  return `${first.length === 8 ? '4' : '6'}${first}${String.fromCharCode(bits)}`;
}

function placeOf(prefix: Prefix): string {
  return place(rangeOf(prefix).first, prefix.bits);
}
