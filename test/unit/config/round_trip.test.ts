import test from 'ava';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { codec } from '../../../src/api/codec.js';
import { InvalidError } from '../../../src/base/errors.js';
import { parseIp } from '../../../src/base/ip.js';
import { parse } from '../../../src/config/address.js';
import { decodeEnvelope, encodeEnvelope } from '../../../src/config/envelope.js';
import { readConfig, readDocument } from '../../../src/config/read.js';
import { validate } from '../../../src/config/validate.js';
import { toConfig, toDocument } from '../../../src/config/write.js';
import { desired } from './arbitrary.js';

test('a state written as a document, JSON or YAML, reads and validates to itself', (t) => {
  fc.assert(
    fc.property(desired, (state) => {
      const document = toDocument(state);
      t.deepEqual(validate(readDocument(JSON.stringify(document))), state);
      t.deepEqual(validate(readDocument(stringify(document))), state);
    }),
  );
});

test('a state sent as a message validates to itself', (t) => {
  const { encode, decode } = codec('spillway.v1.Config');
  fc.assert(
    fc.property(desired, (state) => {
      t.deepEqual(validate(toConfig(state)), state);
      t.deepEqual(validate(decode(encode(toConfig(state)))), state);
    }),
  );
});

test('a state saved is loaded to the byte, and no other byte is accepted', (t) => {
  const saved = fc.record({ desired, version: fc.nat(), appliedAtMs: fc.nat(), released: fc.array(fc.ipV4()) });
  fc.assert(
    fc.property(saved, fc.nat(), fc.integer({ min: 1, max: 127 }), (state, at, change) => {
      const text = encodeEnvelope(state);
      t.deepEqual(decodeEnvelope(text), state);
      t.throws(() => decodeEnvelope(text.slice(0, at % (text.length - 1))));
      const bytes = Buffer.from(text);
      const position = at % (bytes.length - 1);
      bytes[position] = bytes[position]! ^ change;
      t.throws(() => decodeEnvelope(bytes.toString()));
    }),
  );
});

const words = fc.constantFrom(
  ...['loadBalancers', 'load_balancers', 'backendGroups', 'name', 'addresses', 'listeners', 'port', 'healthCheck'],
  ...['tcp', 'http', 'udp', 'interval', 'weight', 'labels', '__proto__', 'constructor', 'protocol', 'backends', ''],
);
const values = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true }),
  fc.constantFrom('TCP', '3s', '-0.5s', 'AAAA', '192.0.2.1', 443, -1, 1e300, Number.NaN, {}, [], null, true),
);
const documents = fc.letrec((tie) => ({
  node: fc.oneof({ depthSize: 'medium' }, values, fc.array(tie('node'), { maxLength: 3 }), tie('object')),
  object: fc.array(fc.tuple(words, tie('node')), { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs)),
})).object;

test('whatever is read, nothing but InvalidError is thrown, and it names a field', (t) => {
  fc.assert(
    fc.property(documents, (document) => {
      try {
        validate(readConfig(document));
      } catch (error) {
        if (!(error instanceof InvalidError)) throw error;
        if (error.violations.length === 0) throw new Error('no violation');
        if (error.violations.some(({ field, description }) => field === '' || description === '')) throw error;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('whatever text is read, nothing but InvalidError is thrown', (t) => {
  const pieces = fc.constantFrom(
    ...'{}[]:,"\'-?&*!|>#%@`\n \t\\',
    'a',
    '1',
    'name',
    '- ',
    ': ',
    '<<',
    '&x',
    '*x',
    '"a":',
  );
  const text = fc.oneof(
    fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
    fc.string(),
    documents.map((document) => JSON.stringify(document, (_, value) => (typeof value === 'bigint' ? 1 : value))),
  );
  fc.assert(
    fc.property(text, (document) => {
      try {
        readDocument(document ?? '');
      } catch (error) {
        if (!(error instanceof InvalidError)) throw error;
      }
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

test('the quick address parser gives what parseIp gives', (t) => {
  const group = fc.constantFrom('0', '00', '1', 'db8', 'FFFF', '0000', '10');
  const v6 = fc
    .array(group, { minLength: 1, maxLength: 9 })
    .chain((groups) =>
      fc.nat(groups.length).map((at) => [groups.slice(0, at).join(':'), groups.slice(at).join(':')].join('::')),
    );
  const full = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
  const mixed = fc.constantFrom(
    '::ffff:192.0.2.1',
    '::ffff:c000:201',
    '::192.0.2.1',
    '64:ff9b::192.0.2.1',
    '1.2.3',
    '',
  );
  fc.assert(
    fc.property(fc.oneof(v6, full, mixed, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
      t.is(parse(text), parseIp(text));
    }),
    { numRuns: 5000 },
  );
});
