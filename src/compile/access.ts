import type { AccessList, Listener } from '../config/desired.js';
import { AccessEntries } from './access-entries.js';
import type { Tables } from './tables.js';

/** As ACCESS_ALLOW in bpf/abi_types.h; the lower half is the list's number. */
const ACCESS_ALLOW = 0x8000_0000;

export function listOf(access: number): number {
  return access & 0xffff;
}

/** A service, and what its listener says of clients. */
export interface AccessUser {
  readonly id: number;
  readonly listener: Pick<Listener, 'accessControl'>;
}

/** Lists with the same prefixes are one in the kernel. */
interface Contents {
  readonly entries: AccessEntries;
  readonly users: AccessUser[];
}

/**
 * Numbers of the lists in use, and the word of each service that has one.
 *
 * A list that changes keeps its number, and changes entry by entry, if the services that go by it are those that went by
 * it, in the same mode: each client then meets the old answer or the new. Otherwise it is made anew under another
 * number, and each service goes over to it in one store. A restarted agent finds a list by its contents.
 */
export function compileAccess(
  users: readonly AccessUser[],
  lists: readonly AccessList[],
  inForce: Pick<Tables, 'access' | 'services'>,
): { access: Tables['access']; words: ReadonlyMap<number, number> } {
  const contents = contentsOf(users, lists);
  const words = new Map<number, number>();
  const access = new Map<number, AccessEntries>();
  if (contents.length === 0) return { access, words };
  const numbers = assign(contents, inForce);
  for (const { entries, users: members } of contents) {
    const number = numbers.get(entries)!;
    access.set(number, entries);
    for (const user of members) words.set(user.id, (number | modeOf(user)) >>> 0);
  }
  return { access, words };
}

function modeOf({ listener }: AccessUser): number {
  return listener.accessControl!.mode === 'ALLOW' ? ACCESS_ALLOW : 0;
}

function contentsOf(users: readonly AccessUser[], lists: readonly AccessList[]): Contents[] {
  const byName = new Map(lists.map((list) => [list.name, list]));
  const found = new Map<AccessEntries, Contents>();
  for (const user of users) {
    const { accessControl } = user.listener;
    if (!accessControl) continue;
    const entries = AccessEntries.of(byName.get(accessControl.accessList)!);
    const same = found.get(entries) ?? [...found.values()].find((one) => one.entries.same(entries));
    const one = same ?? { entries, users: [] };
    one.users.push(user);
    found.set(entries, one);
  }
  return [...new Set(found.values())];
}

function assign(
  contents: readonly Contents[],
  { access, services }: Pick<Tables, 'access' | 'services'>,
): Map<AccessEntries, number> {
  const usersInForce = new Map<number, string[]>();
  for (const number of access.keys()) usersInForce.set(number, []);
  for (const [id, { access: word }] of services) {
    if (word === 0) continue;
    const known = usersInForce.get(listOf(word));
    if (known) known.push(userText(id, word));
    else usersInForce.set(listOf(word), [userText(id, word)]);
  }
  const numbers = new Map<AccessEntries, number>();
  const taken = new Set<number>();
  const take = (entries: AccessEntries, number: number | undefined): void => {
    if (number === undefined) return;
    numbers.set(entries, number);
    taken.add(number);
  };
  const inForce = [...usersInForce.keys()].sort((a, b) => a - b);
  for (const { entries } of contents) {
    take(
      entries,
      inForce.find((number) => !taken.has(number) && (access.get(number) ?? AccessEntries.empty).same(entries)),
    );
  }
  for (const { entries, users } of contents) {
    if (numbers.has(entries)) continue;
    const wanted = users.map((user) => userText(user.id, modeOf(user))).sort();
    take(
      entries,
      inForce.find((number) => !taken.has(number) && usersInForce.get(number)!.sort().join() === wanted.join()),
    );
  }
  let next = 1;
  for (const { entries } of contents) {
    if (numbers.has(entries)) continue;
    while (usersInForce.has(next) || taken.has(next)) next++;
    take(entries, next);
  }
  return numbers;
}

function userText(id: number, word: number): string {
  return `${id}${word >= ACCESS_ALLOW ? '+' : '-'}`;
}
