/** Server ids in QUIC connection ids, and what the data path is given to read them. */
import { createCipheriv } from 'node:crypto';
import test from 'ava';
import * as fc from 'fast-check';
import { aesTables, decipherKeys } from '../../../src/compile/aes.js';
import { compile } from '../../../src/compile/compile.js';
import { IdLedger } from '../../../src/compile/ids.js';
import { serverIdOf } from '../../../src/compile/quic.js';
import type { QuicConfig } from '../../../src/config/desired.js';
import { backend, desiredOf, group, listener, loadBalancer, seen } from '../../support/desired.js';
import { holds } from '../../support/holds.js';
import { connectionId } from '../../support/quic.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const key = hex('8f95f09245765f80256934e50c66207f');

/** As bpf/aes.h does it, with nothing but what it is given. */
function decipher(block: Buffer, cipherKey: Uint8Array): Buffer {
  const tables = aesTables();
  const view = new DataView(tables.buffer);
  const round = (place: number, byte: number): number => view.getUint32((place * 256 + byte) * 4, true);
  const last = (byte: number): number => tables[4096 + byte]!;
  const keys = decipherKeys(cipherKey);
  const byteOf = (state: readonly number[], column: number, row: number): number =>
    (state[(column + 4 - row) % 4]! >>> (24 - 8 * row)) & 0xff;
  let state = [0, 1, 2, 3].map((i) => (block.readUInt32BE(i * 4) ^ keys[i]!) >>> 0);
  for (let r = 1; r < 10; r++) {
    const before = state;
    state = before.map((_, i) => {
      const mixed = [0, 1, 2, 3].reduce((sum, row) => sum ^ round(row, byteOf(before, i, row)), 0);
      return (mixed ^ keys[r * 4 + i]!) >>> 0;
    });
  }
  const out = Buffer.alloc(16);
  state.forEach((_, i) => {
    const column = [0, 1, 2, 3].reduce((sum, row) => sum | (last(byteOf(state, i, row)) << (24 - 8 * row)), 0);
    out.writeUInt32BE((column ^ keys[40 + i]!) >>> 0, i * 4);
  });
  return out;
}

const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });

test('FIPS 197, appendix B', (t) => {
  const plain = decipher(hex('3925841d02dc09fbdc118597196a0b32'), hex('2b7e151628aed2a6abf7158809cf4f3c'));
  t.is(plain.toString('hex'), '3243f6a8885a308d313198a2e0370734');
});

test('tables and keys undo what OpenSSL enciphers', (t) => {
  holds(
    fc.property(bytes(16), bytes(16), (cipherKey, plain) => {
      const cipher = createCipheriv('aes-128-ecb', cipherKey, null).setAutoPadding(false);
      t.deepEqual(decipher(Buffer.from(cipher.update(plain)), cipherKey), Buffer.from(plain));
    }),
  );
});

/** draft-ietf-quic-load-balancers-21, appendix B. Of its second plain vector the digits are out of place; this is it. */
const vectors: readonly { config: QuicConfig; id: string; serverId: string; nonce: string }[] = [
  {
    config: { id: 0, serverIdLength: 3, nonceLength: 4, key: null },
    id: '07c4605e4504cc4f',
    serverId: 'c4605e',
    nonce: '4504cc4f',
  },
  {
    config: { id: 1, serverIdLength: 5, nonceLength: 5, key: null },
    id: '2a0350d28b4203487d970b',
    serverId: '0350d28b42',
    nonce: '03487d970b',
  },
  {
    config: { id: 2, serverIdLength: 8, nonceLength: 8, key },
    id: '504dd2d05a7b0de9b2b9907afb5ecf8cc3',
    serverId: 'ed793a51d49b8f5f',
    nonce: 'ee080dbf48c0d1e5',
  },
];

for (const { config, id, serverId, nonce } of vectors) {
  test(`the draft's vector ${id} names server ${serverId}`, (t) => {
    const configs = vectors.map((one) => one.config);
    t.deepEqual(serverIdOf(hex(id), configs), { serverId: hex(serverId), config });
    t.deepEqual(serverIdOf(hex(`${id}ffff`), configs), { serverId: hex(serverId), config }, 'whatever follows');
    t.is(connectionId({ config, serverId: hex(serverId), nonce: hex(nonce) }).toString('hex'), id);
  });
}

test('an id that asks for a config that is not there, or is too short, names nobody, and says why', (t) => {
  const configs = [vectors[0]!.config];
  const problem = (id: string): string => (serverIdOf(hex(id), configs) as { problem: string }).problem;
  t.regex(problem(''), /empty/);
  t.regex(problem('e7c4605e4504cc4f'), /config 7/);
  t.regex(problem('27c4605e4504cc4f'), /config 1/);
  t.regex(problem('07c4605e4504cc'), /shorter than the 8 bytes of config 0/);
});

const withId = (name: string, address: string, id: string) => ({ ...backend(name, address), quicServerId: hex(id) });
const quicListener = (port: number, quic: readonly QuicConfig[], backendGroup = 'web') =>
  listener({ port, protocol: 'udp', backendGroup, scheduler: 'QCH', quic });
const web = group('web', 'L2_DSR', [withId('be1', '203.0.113.1', '01'), withId('be2', '203.0.113.2', '02')]);
const limits = { services: 64, pools: 16, backends: 64 };
const compiled = (listeners: readonly ReturnType<typeof listener>[], ids = new IdLedger(limits)) => {
  const desired = desiredOf([loadBalancer('web', ['192.0.2.10', '2001:db8:10::10'], listeners)], [web]);
  return compile(desired, seen(desired), ids, { tickMs: 256 });
};
const plainConfig: QuicConfig = { id: 0, serverIdLength: 1, nonceLength: 4, key: null };

test('listeners with the same configs share them; server ids belong to the pool', (t) => {
  const { tables } = compiled([
    quicListener(443, [plainConfig]),
    quicListener(444, [plainConfig]),
    quicListener(445, [{ ...plainConfig, id: 1 }]),
  ]);
  t.is(tables.quicRoutings.size, 2);
  const numbers = [...tables.services.values()].map(({ quic }) => quic);
  t.deepEqual(numbers.sort(), [1, 1, 1, 1, 2, 2]);
  t.is(tables.pools.size, 1, 'TCH and QCH have the same table');
  const [pool] = tables.pools.keys();
  t.deepEqual([...tables.quicServers.keys()].sort(), [`${pool}/01`, `${pool}/02`]);
});

test('without a listener that reads them, server ids are in no table', (t) => {
  const { tables } = compiled([listener({ port: 53, protocol: 'udp', backendGroup: 'web' })]);
  t.is(tables.quicServers.size + tables.quicRoutings.size, 0);
});

test('a listener that goes over to QCH is another to the session table: sessions that it had say nothing any more', (t) => {
  const ids = new IdLedger(limits);
  const serviceOf = (listeners: readonly ReturnType<typeof listener>[]) =>
    compiled(listeners, ids).tables.vips.get('17/192.0.2.10/443')!.service;
  const before = serviceOf([listener({ port: 443, protocol: 'udp', backendGroup: 'web' })]);
  const after = serviceOf([quicListener(443, [plainConfig])]);
  t.not(after, before);
  t.is(
    serviceOf([quicListener(443, [{ ...plainConfig, nonceLength: 8 }])]),
    after,
    'another config is no other listener',
  );
});
