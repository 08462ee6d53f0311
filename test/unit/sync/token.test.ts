import { randomBytes } from 'node:crypto';
import test from 'ava';
import * as fc from 'fast-check';
import { keyOf } from '../../../src/sync/keys.js';
import { checkProof, newNonce, signToken, TOKEN_MS, TokenGate, withProof } from '../../../src/sync/token.js';
import { holds } from '../../support/holds.js';

const key = keyOf(new Uint8Array(32).fill(7));
const other = keyOf(new Uint8Array(32).fill(8));
const signed = { method: '/spillway.v1.PeerService/Fetch', request: Buffer.from('a request') };
const claims = (fields: object = {}) => ({ node: 5, boot: 77n, atMs: 1000, nonce: newNonce(randomBytes), ...fields });
const gate = (nowMs = () => 1000, keys = [key]) => new TokenGate({ boot: 77n, keys: () => keys, wallMs: nowMs });

test('a token is accepted once', (t) => {
  const door = gate();
  const token = signToken(claims(), signed, key);
  t.true(door.check(token, signed).ok);
  t.like(door.check(token, signed), { ok: false, reason: 'the token was used before' });
  t.true(door.check(signToken(claims(), signed, key), signed).ok);
});

test('a token of any accepted key is genuine; of another it is refused by number', (t) => {
  t.true(gate(() => 1000, [key, other]).check(signToken(claims(), signed, other), signed).ok);
  const refused = gate().check(signToken(claims(), signed, other), signed);
  t.like(refused, { ok: false });
  t.regex(refused.ok ? '' : refused.reason, /^key [0-9a-f]{8} is not among this node's sync keys$/);
});

test('a token holds for a minute before and after, for this boot, this method, this request', (t) => {
  const check = (fields: object, as = signed, nowMs = 1_000_000) =>
    gate(() => nowMs).check(signToken(claims({ atMs: 1_000_000, ...fields }), signed, key), as).ok;
  t.true(check({}));
  t.true(check({ atMs: 1_000_000 - TOKEN_MS }));
  t.false(check({ atMs: 1_000_000 - TOKEN_MS - 1 }));
  t.false(check({ atMs: 1_000_000 + TOKEN_MS + 1 }));
  t.false(check({ boot: 78n }));
  t.false(check({}, { ...signed, method: '/spillway.v1.PeerService/Purge' }));
  t.false(check({}, { ...signed, request: Buffer.from('a requesT') }));
});

test('a used token is refused for as long as its time is good, whatever the clocks say', (t) => {
  let now = 1_000_000;
  const door = gate(() => now);
  const token = signToken(claims({ atMs: now + TOKEN_MS }), signed, key);
  t.true(door.check(token, signed).ok);
  for (; now <= 1_000_000 + 3 * TOKEN_MS; now += 7919) {
    door.check(signToken(claims({ atMs: now }), signed, key), signed);
    t.false(door.check(token, signed).ok, `at ${now}`);
  }
});

test('a token with a changed character is refused', (t) => {
  const token = signToken(claims(), signed, key);
  holds(
    fc.property(fc.nat(token.length - 1), fc.constantFrom(...'0123456789abcdef v-'), (at, char) => {
      fc.pre(token[at] !== char);
      t.false(gate().check(token.slice(0, at) + char + token.slice(at + 1), signed).ok);
    }),
  );
  for (const text of [undefined, '', 'v1', token.slice(1), `${token} `, token.repeat(2)])
    t.false(gate().check(text, signed).ok);
});

test('a message with its proof is taken as it was sent, and no other way', (t) => {
  const proof = { nonce: newNonce(randomBytes), index: 3, key };
  holds(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.integer({ min: 0, max: 7 }), (message, at, bit) => {
      const bytes = withProof(message, proof);
      t.deepEqual(Buffer.from(checkProof(bytes, proof)!), Buffer.from(message));
      t.is(checkProof(bytes, { ...proof, index: 4 }), null);
      t.is(checkProof(bytes, { ...proof, key: other }), null);
      t.is(checkProof(bytes, { ...proof, nonce: newNonce(randomBytes) }), null);
      t.is(checkProof(bytes.subarray(1), proof), null);
      const flipped = Buffer.from(bytes);
      flipped[at % flipped.length]! ^= 1 << bit;
      t.is(checkProof(flipped, proof), null);
    }),
  );
  t.is(checkProof(new Uint8Array(0), proof), null);
});
