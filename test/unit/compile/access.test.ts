/** Access lists as they are packed, and the numbers that they get. */
import test from 'ava';
import * as fc from 'fast-check';
import type { Service } from '../../../src/abi/abi.generated.js';
import { type AccessUser, compileAccess, listOf } from '../../../src/compile/access.js';
import { AccessEntries } from '../../../src/compile/access-entries.js';
import type { AccessList, Prefix } from '../../../src/config/desired.js';
import { holds } from '../../support/holds.js';

const hex = (value: number): string => (value & 0xffff).toString(16);

/** Canonical, host bits clear; few values, so that two lists have much in common. */
const prefix: fc.Arbitrary<Prefix> = fc.oneof(
  fc.record({ value: fc.nat({ max: 255 }), bits: fc.constantFrom(0, 8, 24, 31, 32) }).map(({ value, bits }) => {
    const word = bits === 0 ? 0 : ((0xc633_6400 + value) & (0xffff_ffff << (32 - bits))) >>> 0;
    return { address: [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join('.'), bits };
  }),
  fc.record({ value: fc.nat({ max: 255 }), bits: fc.constantFrom(112, 127, 128) }).map(({ value, bits }) => {
    const last = bits === 112 ? 0 : bits === 127 ? value & ~1 : value;
    return { address: last === 0 ? '2001:db8::' : `2001:db8::${hex(last)}`, bits };
  }),
);
const textOf = ({ address, bits }: Prefix): string => `${address}/${bits}`;
const entries = fc.uniqueArray(prefix, { maxLength: 60, selector: textOf });
const pack = (list: readonly Prefix[]): AccessEntries => AccessEntries.of({ entries: list });
/** 16-byte addresses in full. */
const full = (text: string): string => text.replace('2001:db8::', '2001:db8:0:0:0:0:0:').replace(':/', ':0/');
const texts = (list: readonly Prefix[]): string[] => list.map(textOf).map(full).sort();

test('what is packed is what was given, in any order', (t) => {
  holds(
    fc.property(entries, fc.func(fc.integer()), (list, key) => {
      const shuffled = [...list].sort((a, b) => key(textOf(a)) - key(textOf(b)));
      const packed = pack(list);
      if (packed.toJSON().join() !== texts(list).join()) throw new Error(packed.toJSON().join());
      return packed.same(pack(shuffled)) && pack(shuffled).same(packed) && packed.count === list.length;
    }),
  );
  t.pass();
});

test('lists differ when an entry does', (t) => {
  holds(
    fc.property(entries, entries, (a, b) => {
      return pack(a).same(pack(b)) === (texts(a).join() === texts(b).join());
    }),
  );
  t.pass();
});

test('what one list has and the other has not is what sets say', (t) => {
  holds(
    fc.property(entries, entries, (a, b) => {
      const others = new Set(texts(b));
      const expected = texts(a).filter((text) => !others.has(text));
      return pack(a).minus(pack(b)).toJSON().join() === expected.join();
    }),
  );
  t.pass();
});

test('keys of the trie read back are the lists that they were made of, by their numbers', (t) => {
  holds(
    fc.property(fc.array(entries, { maxLength: 4 }), fc.nat({ max: 65_000 }), (lists, first) => {
      const packed = lists.map(pack);
      const keys = Buffer.concat(packed.map((one, i) => one.keys(first + i + 1)));
      const back = AccessEntries.byList(keys);
      return packed.every((one, i) => (back.get(first + i + 1) ?? AccessEntries.empty).same(one));
    }),
  );
  t.pass();
});

test('pieces are together the whole, none larger than asked for', (t) => {
  holds(
    fc.property(entries, fc.integer({ min: 1, max: 70 }), (list, most) => {
      const pieces = pack(list).pieces(most);
      const back = AccessEntries.byList(Buffer.concat(pieces.map((piece) => piece.keys(7))));
      const whole = back.get(7) ?? AccessEntries.empty;
      return pieces.every(({ count }) => count > 0 && count <= most) && whole.same(pack(list));
    }),
  );
  t.pass();
});

test('a key counts the bits of list and family before those of the address, and names both', (t) => {
  const [four, six] = [
    { address: '192.0.2.0', bits: 24 },
    { address: '2001:db8::', bits: 32 },
  ].map((one) => Buffer.from(pack([one]).keys(0x1234)));
  t.is(four!.toString('hex'), '98000000' + '3412' + '0000' + '00000000000000000000ffffc0000200');
  t.is(six!.toString('hex'), '40000000' + '3412' + '0100' + '20010db8000000000000000000000000');
});

/* ---- numbers ---------------------------------------------------------------------------- */

const list = (name: string, ...addresses: string[]): AccessList => ({
  name,
  entries: addresses.map((address) => ({ address, bits: 32 })),
  description: '',
});
const user = (id: number, accessList: string, mode: 'ALLOW' | 'DENY' = 'DENY'): AccessUser => ({
  id,
  listener: { accessControl: { mode, accessList } },
});

type Result = ReturnType<typeof compileAccess>;

/** What was compiled is in force. */
function after({ access, words }: Result): Parameters<typeof compileAccess>[2] {
  return {
    access: new Map([...access].filter(([, { count }]) => count > 0)),
    services: new Map([...words].map(([id, word]) => [id, { access: word } as Service])),
  };
}

const nothing = { access: new Map(), services: new Map() };
const numberOf = ({ words }: Result, id: number): number => listOf(words.get(id)!);

test('lists in use get numbers from 1 on; those that nobody uses get none; the word says who may', (t) => {
  const result = compileAccess(
    [user(4, 'b'), user(7, 'b', 'ALLOW')],
    [list('a', '192.0.2.1'), list('b', '192.0.2.2')],
    nothing,
  );
  t.deepEqual([...result.access.keys()], [1]);
  t.deepEqual(
    [...result.words],
    [
      [4, 1],
      [7, 0x8000_0001],
    ],
  );
});

test('a list that changes keeps its number while those who go by it stay, and gets another when one comes or goes', (t) => {
  const before = compileAccess([user(1, 'a'), user(2, 'a')], [list('a', '192.0.2.1')], nothing);
  const changed = [list('a', '192.0.2.1', '192.0.2.2')];
  t.is(numberOf(compileAccess([user(1, 'a'), user(2, 'a')], changed, after(before)), 1), 1);
  t.is(numberOf(compileAccess([user(1, 'a')], changed, after(before)), 1), 2);
  t.is(numberOf(compileAccess([user(1, 'a'), user(2, 'a'), user(3, 'a')], changed, after(before)), 1), 2);
  t.is(numberOf(compileAccess([user(1, 'a'), user(2, 'a', 'ALLOW')], changed, after(before)), 1), 2);
});

test('a list that stays keeps its number whoever comes and goes', (t) => {
  const lists = [list('a', '192.0.2.1')];
  const before = compileAccess([user(1, 'a'), user(2, 'a')], lists, nothing);
  t.is(numberOf(compileAccess([user(3, 'a', 'ALLOW')], lists, after(before)), 3), 1);
});

test('lists with the same entries are one, and part again when one of them changes', (t) => {
  const users = [user(1, 'a'), user(2, 'b')];
  const same = compileAccess(users, [list('a', '192.0.2.1'), list('b', '192.0.2.1')], nothing);
  t.is(same.access.size, 1);
  const apart = compileAccess(users, [list('a', '192.0.2.1'), list('b', '192.0.2.9')], after(same));
  t.deepEqual([numberOf(apart, 1), numberOf(apart, 2)], [1, 2]);
});

test('a restarted agent, which knows no names, finds its lists by what they hold', (t) => {
  const lists = [list('a', '192.0.2.1'), list('b', '192.0.2.2'), list('empty')];
  const users = [user(1, 'a'), user(2, 'b'), user(3, 'empty', 'ALLOW')];
  const before = compileAccess(users, lists, nothing);
  const again = compileAccess(
    users,
    lists.map((one) => ({ ...one, entries: [...one.entries] })),
    after(before),
  );
  t.deepEqual([...again.words], [...before.words]);
});

test('the number of an empty list is not given to another while a service names it', (t) => {
  const before = compileAccess([user(1, 'empty', 'ALLOW')], [list('empty')], nothing);
  const next = compileAccess(
    [user(1, 'empty', 'ALLOW'), user(2, 'a')],
    [list('empty'), list('a', '192.0.2.1')],
    after(before),
  );
  t.not(numberOf(next, 1), numberOf(next, 2));
});
