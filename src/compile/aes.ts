/**
 * What the data path needs to decipher a block of AES-128 (bpf/aes.h): the tables, and the round keys of the equivalent
 * inverse cipher (FIPS 197, 5.3.5). Words are big-endian columns.
 */
const WORDS = 4;
const ROUNDS = 10;

/** In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) product ^= a << bit;
  }
  for (let bit = 14; bit >= 8; bit--) {
    if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  }
  return product;
}

function makeSbox(): Uint8Array {
  const sbox = new Uint8Array(256);
  for (let value = 0; value < 256; value++) {
    // The inverse is the 254th power; 0 has 0.
    let inverse = 1;
    for (let i = 0; i < 254; i++) inverse = multiply(inverse, value);
    let result = 0x63;
    for (let turn = 0; turn < 5; turn++) result ^= ((inverse << turn) | (inverse >> (8 - turn))) & 0xff;
    sbox[value] = result;
  }
  return sbox;
}

const sbox = makeSbox();
const inverseSbox = new Uint8Array(256);
sbox.forEach((to, from) => {
  inverseSbox[to] = from;
});

/** InvMixColumns of a column. */
function unmix(column: number): number {
  const bytes = [24, 16, 8, 0].map((shift) => (column >>> shift) & 0xff);
  const factors = [14, 11, 13, 9];
  return bytes.reduce((result, _, row) => {
    const mixed = bytes.reduce((sum, byte, i) => sum ^ multiply(byte, factors[(i - row + 4) % 4]!), 0);
    return ((result << 8) | mixed) >>> 0;
  }, 0);
}

/** The layout of struct aes_tables: 4 tables of 256 words, then the inverse S-box. */
export function aesTables(): Uint8Array {
  const bytes = new Uint8Array(4 * 256 * 4 + 256);
  const view = new DataView(bytes.buffer);
  for (let place = 0; place < 4; place++) {
    for (let value = 0; value < 256; value++) {
      const column = unmix((inverseSbox[value]! << (24 - 8 * place)) >>> 0);
      view.setUint32((place * 256 + value) * 4, column, true);
    }
  }
  bytes.set(inverseSbox, 4 * 256 * 4);
  return bytes;
}

function substitute(word: number): number {
  return [24, 16, 8, 0].reduce((result, shift) => ((result << 8) | sbox[(word >>> shift) & 0xff]!) >>> 0, 0);
}

/** FIPS 197, 5.2. */
function expandKey(key: Uint8Array): number[] {
  const view = new DataView(key.buffer, key.byteOffset, 16);
  const words = Array.from({ length: WORDS }, (_, i) => view.getUint32(i * 4));
  let constant = 1;
  for (let i = WORDS; i < WORDS * (ROUNDS + 1); i++) {
    let word = words[i - 1]!;
    if (i % WORDS === 0) {
      word = substitute(((word << 8) | (word >>> 24)) >>> 0) ^ (constant << 24);
      constant = multiply(constant, 2);
    }
    words.push((words[i - WORDS]! ^ word) >>> 0);
  }
  return words;
}

/** 44 words, in the order in which deciphering takes them. `key`: 16 bytes. */
export function decipherKeys(key: Uint8Array): number[] {
  const words = expandKey(key);
  return Array.from({ length: ROUNDS + 1 }, (_, round) => {
    const of = words.slice((ROUNDS - round) * WORDS, (ROUNDS - round + 1) * WORDS);
    return round === 0 || round === ROUNDS ? of : of.map(unmix);
  }).flat();
}
