import test from 'ava';
import { codec } from '../../../src/api/client.js';
import { formatJson, jsonOf } from '../../../src/cli/format/json.js';

test('every field is there: zeros, false, empty lists; unset messages are null', async (t) => {
  const message = codec('spillway.v1.ReasonCount').decode(new Uint8Array());
  t.deepEqual((await jsonOf('spillway.v1.ReasonCount'))(message), {
    reason: '',
    drop: false,
    packets: '0',
    help: '',
    lastSample: null,
  });
});

test('where both print a field, it is as in the JSON mapping of protobuf', async (t) => {
  const backend = codec('spillway.v1.BackendStatus');
  const bytes = backend.encode({
    name: 'be1',
    health: 'UNHEALTHY',
    weight: 7,
    up: true,
    since: { seconds: 1_767_323_045n, nanos: 120_000_000 },
    lastCheckDuration: { seconds: 0n, nanos: 1_500_000 },
    traffic: { packets: 9_007_199_254_740_993n },
    history: [{ at: { seconds: 1n, nanos: 1 }, from: 'HEALTHY', to: 'UNHEALTHY', reason: 'connect: ECONNREFUSED' }],
  });
  const ours = (await jsonOf('spillway.v1.BackendStatus'))(backend.decode(bytes)) as Record<string, unknown>;
  const theirs = backend.toJson(backend.decode(bytes)) as Record<string, unknown>;
  t.is(ours['lastCheckDuration'], '0.001500s');
  t.is(ours['since'], '2026-01-02T03:04:05.120Z');
  for (const [key, value] of Object.entries(theirs)) {
    if (key === 'traffic') t.like(ours[key], value as object);
    else t.deepEqual(ours[key], value, key);
  }
});

test('an unset optional number is absent, a set 0 is not', async (t) => {
  const toJson = await jsonOf('spillway.v1.Backend');
  const { decode, encode } = codec('spillway.v1.Backend');
  t.false('weight' in (toJson(decode(encode({ name: 'a' }))) as object));
  t.is((toJson(decode(encode({ name: 'a', weight: 0 }))) as { weight: number }).weight, 0);
});

test('64-bit numbers that stand alone are decimal text', (t) => {
  t.is(formatJson({ count: 5n }), '{\n  "count": "5"\n}\n');
});
