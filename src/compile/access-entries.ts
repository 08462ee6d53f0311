import { type Ip, ipToBytes } from '../base/ip.js';
import type { AccessList, Prefix } from '../config/desired.js';

/** Words of one entry: its key in the trie (struct access_key) as little-endian words, but for the list's number. */
const WORDS = 6;
/** Before the client's prefix a key has the list's number and the family: 32 bits that must match. */
const BITS_BEFORE = 32;

/**
 * The prefixes of one access list, packed: 100,000 take 2.4 MB. Without order; two are the same when count and digest
 * are (64 bits that do not depend on the order). Never changed.
 */
export class AccessEntries {
  readonly count: number;
  readonly #words: Uint32Array;
  readonly #digest: readonly [number, number];

  /** `words`: {@link WORDS} each, no entry twice; owned from here on. */
  private constructor(words: Uint32Array) {
    this.#words = words;
    this.count = words.length / WORDS;
    this.#digest = digestOf(words);
  }

  static readonly empty = new AccessEntries(new Uint32Array(0));

  /** Packed once for each list. */
  static of({ entries }: Pick<AccessList, 'entries'>): AccessEntries {
    const known = packed.get(entries);
    if (known) return known;
    const words = new Uint32Array(entries.length * WORDS);
    entries.forEach((prefix, i) => void pack(prefix, words, i * WORDS));
    const made = new AccessEntries(words);
    packed.set(entries, made);
    return made;
  }

  /** From keys of the trie (struct access_key, packed), by the number of their list. */
  static byList(keys: Uint8Array): Map<number, AccessEntries> {
    const words = new Uint32Array(keys.buffer.slice(keys.byteOffset, keys.byteOffset + keys.byteLength));
    const counts = new Map<number, number>();
    for (let at = 1; at < words.length; at += WORDS) {
      const list = words[at]! & 0xffff;
      counts.set(list, (counts.get(list) ?? 0) + 1);
    }
    const parts = new Map(
      [...counts].map(([list, count]) => [list, { words: new Uint32Array(count * WORDS), end: 0 }]),
    );
    for (let at = 0; at < words.length; at += WORDS) {
      const part = parts.get(words[at + 1]! & 0xffff)!;
      part.words.set(words.subarray(at, at + WORDS), part.end);
      part.words[part.end + 1]! >>>= 16;
      part.end += WORDS;
    }
    return new Map([...parts].map(([list, part]) => [list, new AccessEntries(part.words)]));
  }

  same(other: AccessEntries): boolean {
    if (other === this) return true;
    const [low, high] = other.#digest;
    return other.count === this.count && this.#digest[0] === low && this.#digest[1] === high;
  }

  /** Those that `other` has not. */
  minus(other: AccessEntries): AccessEntries {
    if (other.count === 0) return this;
    if (this.same(other)) return AccessEntries.empty;
    const table = tableOf(other.#words);
    const rest = new Uint32Array(this.#words.length);
    let end = 0;
    for (let at = 0; at < this.#words.length; at += WORDS) {
      if (holds(table, other.#words, this.#words, at)) continue;
      rest.set(this.#words.subarray(at, at + WORDS), end);
      end += WORDS;
    }
    return new AccessEntries(rest.slice(0, end));
  }

  /** In pieces of at most `most` entries. */
  pieces(most: number): AccessEntries[] {
    if (this.count === 0) return [];
    if (this.count <= most) return [this];
    return Array.from({ length: Math.ceil(this.count / most) }, (_, i) => {
      return new AccessEntries(this.#words.slice(i * most * WORDS, (i + 1) * most * WORDS));
    });
  }

  /** Keys of the trie (struct access_key), one behind the other. */
  keys(list: number): Uint8Array {
    const words = this.#words.slice();
    for (let at = 1; at < words.length; at += WORDS) words[at] = (words[at]! << 16) | list;
    return new Uint8Array(words.buffer);
  }

  /** As text, sorted: "192.0.2.0/24". For people and tests. */
  toJSON(): string[] {
    return Array.from({ length: this.count }, (_, i) => textOf(this.#words, i * WORDS)).sort();
  }
}

const packed = new WeakMap<readonly Prefix[], AccessEntries>();

function pack({ address, bits }: Prefix, words: Uint32Array, at: number): void {
  const v4 = plain4(address);
  if (v4 >= 0) {
    words.set([BITS_BEFORE + 96 + bits, 0, 0, 0, 0xffff_0000, swap(v4)], at);
    return;
  }
  const bytes = ipToBytes(address);
  words.set([BITS_BEFORE + bits, 1, ...new Uint32Array(bytes.buffer, bytes.byteOffset, 4)], at);
}

/** A canonical IPv4 address as a number, -1 for IPv6: a hundred thousand at once are parsed while calls wait. */
function plain4(ip: Ip): number {
  let value = 0;
  let part = 0;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code === 0x2e) {
      value = value * 256 + part;
      part = 0;
    } else if (code < 0x30 || code > 0x39) {
      return -1;
    } else {
      part = part * 10 + code - 0x30;
    }
  }
  return value * 256 + part;
}

function swap(word: number): number {
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

function textOf(words: Uint32Array, at: number): string {
  const bits = words[at]! - BITS_BEFORE;
  const bytes = new Uint8Array(words.buffer, words.byteOffset + (at + 2) * 4, 16);
  if (words[at + 1] === 0) return `${bytes.subarray(12).join('.')}/${bits - 96}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[i * 2]! << 8) | bytes[i * 2 + 1]!).toString(16));
  return `${groups.join(':')}/${bits}`;
}

/** Two independent mixes of an entry's words (murmur3's, with other seeds). */
function mixOf(words: Uint32Array, at: number, seed: number): number {
  let hash = seed;
  for (let i = 0; i < WORDS; i++) {
    let word = Math.imul(words[at + i]!, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function digestOf(words: Uint32Array): readonly [number, number] {
  let low = 0;
  let high = 0;
  for (let at = 0; at < words.length; at += WORDS) {
    low = (low + mixOf(words, at, 0x2545f491)) | 0;
    high = (high + mixOf(words, at, 0x9e3779b9)) | 0;
  }
  return [low, high];
}

/** Open addressing; 0 is free, else place of the entry + 1. */
function tableOf(words: Uint32Array): Int32Array {
  const count = words.length / WORDS;
  const table = new Int32Array(2 ** Math.ceil(Math.log2(count * 2 + 2)));
  for (let at = 0; at < words.length; at += WORDS) {
    let slot = mixOf(words, at, 0) & (table.length - 1);
    while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
    table[slot] = at + 1;
  }
  return table;
}

function holds(table: Int32Array, words: Uint32Array, wanted: Uint32Array, at: number): boolean {
  let slot = mixOf(wanted, at, 0) & (table.length - 1);
  for (; table[slot] !== 0; slot = (slot + 1) & (table.length - 1)) {
    const from = table[slot]! - 1;
    let same = true;
    for (let i = 0; i < WORDS && same; i++) same = words[from + i] === wanted[at + i];
    if (same) return true;
  }
  return false;
}
