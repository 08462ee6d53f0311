import test from 'ava';
import fc from 'fast-check';
import { DecapReason } from '../../src/abi/abi.generated.js';
import { encodeConfig, loadDecap, mapNames, objectPath, type Rules } from '../../src/backend/program.js';
import type { Ip } from '../../src/base/ip.js';
import { type BpfMap, BpfObject, type BpfProgram } from '../../src/dataplane/addon.js';
import {
  checksum,
  ethernet,
  type IpFields,
  inner,
  ipv4,
  type Kind,
  kinds,
  outer,
  ownMac,
  protocol,
} from './decap_frames.js';
import { decapsulate, type ModelRules } from './decap_model.js';

const verdicts: Readonly<Record<number, string>> = { 1: 'drop', 2: 'pass' };
const lbs = ['203.0.113.11', '2001:db8:200::11'];
const vips = ['198.51.100.7', '2001:db8::7'];
const open: Rules = { macs: [ownMac], from: [], vips: [] };
const strict: Rules = {
  macs: ['02:00:00:00:00:99', ownMac],
  from: [
    { address: '203.0.113.8', bits: 29 },
    { address: '2001:db8:200::', bits: 64 },
  ],
  vips,
};

class Decap {
  readonly #object: BpfObject;
  readonly #program: BpfProgram;
  readonly #counters: BpfMap;

  constructor(rules: Rules) {
    this.#object = loadDecap(rules, null);
    this.#program = this.#object.program('decap');
    this.#counters = this.#object.map(mapNames.counters);
  }

  run(frame: Uint8Array): { readonly verdict: string; readonly frame: Buffer; readonly reason: string } {
    const before = this.#packets();
    const { retval, data } = this.#program.testRun({ data: frame });
    const after = this.#packets();
    const counted = after.flatMap((packets, index) => (packets > before[index]! ? [index] : []));
    const [name = 'none'] = Object.entries(DecapReason).find(([, value]) => value === counted[0]) ?? [];
    const reason = counted.length === 1 ? name.replace('DECAP_', '').toLowerCase() : `${counted.length} reasons`;
    return { verdict: verdicts[retval] ?? `verdict ${retval}`, frame: Buffer.from(data), reason };
  }

  #packets(): readonly bigint[] {
    return Array.from(this.#counters.sumRange(0, 1)).filter((_, index) => index % 2 === 0);
  }

  bytes(reason: number): bigint {
    return this.#counters.sumRange(0, 1)[reason * 2 + 1]!;
  }

  close(): void {
    for (const handle of [this.#program, this.#counters, this.#object]) handle.close();
  }
}

const programs = { open: new Decap(open), strict: new Decap(strict) };
test.after.always(() => {
  for (const program of Object.values(programs)) program.close();
});

test("each kind is stripped down to the client's packet, with and without VLAN tags", (t) => {
  for (const kind of kinds) {
    for (const tags of [[], [100], [200, 100]]) {
      const packet = inner(kind);
      const result = programs.open.run(ethernet(outer(kind, packet), { tags }));
      t.deepEqual(result, { verdict: 'pass', reason: `stripped_${kind}`, frame: ethernet(packet, { tags }) });
    }
  }
});

test('what is no tunnel passes untouched', (t) => {
  const frames = [
    ethernet(inner('4in4')),
    ethernet(inner('6in6'), { tags: [7] }),
    ethernet(Buffer.alloc(46), { type: 0x0806 }),
    ethernet(inner('4in4'), { type: 0x88cc }),
    ethernet(outer('4in4', inner('4in4')), { tags: [1, 2] }).subarray(0, 16),
    ethernet(outer('4in4', inner('4in4'))).subarray(0, 30),
    ethernet(outer('6in6', inner('6in6'))).subarray(0, 50),
    ethernet(outer('4in4', inner('6in6'), { protocol: protocol.ipv6 })),
  ];
  for (const frame of frames)
    t.deepEqual(programs.open.run(frame), { verdict: 'pass', reason: 'pass_not_tunnel', frame: Buffer.from(frame) });
});

test('a tunnel for another host, from a stranger, or to no VIP of the list passes untouched', (t) => {
  const frame = (kind: Kind, to: string, source: Ip, destination: Ip) =>
    ethernet(outer(kind, inner(kind, { destination }), { source }), { to });
  const cases: readonly (readonly [Buffer, string])[] = [
    [frame('4in4', '02:00:00:00:00:12', lbs[0]!, vips[0]!), 'pass_other_mac'],
    [frame('4in4', 'ff:ff:ff:ff:ff:ff', lbs[0]!, vips[0]!), 'pass_other_mac'],
    [frame('4in4', ownMac, '203.0.113.16', vips[0]!), 'pass_source'],
    [frame('4in6', ownMac, '2001:db8:201::11', vips[0]!), 'pass_source'],
    [frame('4in4', ownMac, lbs[0]!, '198.51.100.8'), 'pass_not_vip'],
    [frame('6in6', ownMac, lbs[1]!, '2001:db8::8'), 'pass_not_vip'],
  ];
  for (const [bytes, reason] of cases)
    t.deepEqual(programs.strict.run(bytes), { verdict: 'pass', reason, frame: bytes });
  t.is(programs.strict.run(frame('4in6', ownMac, '2001:db8:200::ffff', vips[0]!)).reason, 'stripped_4in6');
  t.is(programs.strict.run(frame('6in6', '02:00:00:00:00:99', lbs[1]!, vips[1]!)).reason, 'stripped_6in6');
});

test('a tunnel that cannot be delivered is dropped, with a reason', (t) => {
  const of = (kind: Kind, fields: IpFields, packet: Uint8Array = inner(kind)) => ethernet(outer(kind, packet, fields));
  const fragmented = Buffer.concat([Buffer.from([protocol.ipip, 0, 0, 1, 0, 0, 0, 9]), inner('4in6')]);
  const cases: readonly (readonly [Buffer, string])[] = [
    [of('4in4', { fragment: 0x2000 }), 'drop_fragment'],
    [of('4in4', { fragment: 0x0010 }), 'drop_fragment'],
    [ethernet(outer('4in6', fragmented, { protocol: protocol.fragment })), 'drop_fragment'],
    [of('4in4', { length: 9000 }), 'drop_malformed'],
    [of('4in4', { length: 19 }), 'drop_malformed'],
    [of('6in6', { length: 9000 }), 'drop_malformed'],
    [of('4in4', { checksum: 0x1234 }), 'drop_checksum'],
    [of('4in4', {}, inner('6in6')), 'drop_inner'],
    [of('6in6', {}, inner('4in4')), 'drop_inner'],
    [of('4in4', {}, inner('4in4').subarray(0, 19)), 'drop_inner'],
    [of('4in4', {}, inner('4in4', { length: 9000 })), 'drop_inner'],
    [of('4in4', {}, inner('4in4', { length: 12 })), 'drop_inner'],
    [of('6in6', {}, inner('6in6', { length: 20 })), 'drop_inner'],
    [of('6in6', { length: 0 }), 'drop_inner'],
  ];
  for (const [frame, reason] of cases) t.like(programs.open.run(frame), { verdict: 'drop', reason });
});

test('outer IPv4 options pass untouched: the kernel knows them', (t) => {
  const frame = ethernet(outer('4in4', inner('4in4'), { options: Buffer.from([1, 1, 1, 0]) }));
  t.deepEqual(programs.open.run(frame), { verdict: 'pass', reason: 'pass_options', frame });
});

test("an Ethernet trailer stays: the length is the inner header's to say", (t) => {
  const packet = Buffer.concat([ethernet(outer('4in4', ipv4(Buffer.alloc(0)))), Buffer.alloc(6)]);
  const { verdict, frame } = programs.open.run(packet);
  t.is(verdict, 'pass');
  t.is(frame.length, packet.length - 20);
});

test("congestion that the outer header met reaches the client's packet (RFC 6040)", (t) => {
  const merged = [
    [0, 0, 0, null],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ];
  for (const kind of kinds) {
    for (const [innerField, row] of merged.entries()) {
      for (const [outerField, wanted] of row.entries()) {
        const packet = inner(kind, { trafficClass: 0xb8 | innerField });
        const result = programs.open.run(ethernet(outer(kind, packet, { trafficClass: 0x20 | outerField })));
        if (wanted === null || wanted === undefined) {
          t.like(result, { verdict: 'drop', reason: 'drop_ecn' });
          continue;
        }
        t.deepEqual(
          result.frame,
          ethernet(inner(kind, { trafficClass: 0xb8 | wanted })),
          `${kind} ${innerField} ${outerField}`,
        );
        if (kind !== '6in6') t.is(checksum(result.frame.subarray(14, 34)), 0);
      }
    }
  }
});

test('counters name packets and bytes as received', (t) => {
  const program = new Decap(open);
  t.teardown(() => program.close());
  const frame = ethernet(outer('4in4', inner('4in4')));
  for (let i = 0; i < 3; i++) program.run(frame);
  t.is(program.bytes(DecapReason.DECAP_STRIPPED_4IN4), BigInt(3 * frame.length));
});

test('the program loads without support for frames in fragments, as kernels before 5.18 have it', (t) => {
  const object = BpfObject.load(objectPath, { frags: false, rodata: { config: encodeConfig(open, false) } });
  t.teardown(() => object.close());
  const frame = ethernet(outer('6in6', inner('6in6')));
  const { retval, data } = object.program('decap').testRun({ data: frame });
  t.is(verdicts[retval], 'pass');
  t.deepEqual(Buffer.from(data), ethernet(inner('6in6')));
});

test('without a MAC of its own the program strips nothing', (t) => {
  const program = new Decap({ ...open, macs: [] });
  t.teardown(() => program.close());
  t.is(program.run(ethernet(outer('4in4', inner('4in4')), { to: '00:00:00:00:00:00' })).reason, 'pass_other_mac');
  t.is(encodeConfig({ ...open, macs: [] }, true).filter((byte) => byte !== 0).length, 1);
});

const modelRules: Readonly<Record<keyof typeof programs, ModelRules>> = {
  open: { macs: [ownMac], isSource: null, isVip: null },
  strict: {
    macs: strict.macs,
    isSource: (ip) => /^203\.0\.113\.(8|9|1[0-5])$/.test(ip) || /^2001:db8:200:(0:|:)/.test(ip),
    isVip: (ip) => vips.includes(ip),
  },
};

/** Mostly right, so that every step is reached; then some bytes are changed, and some cut off. */
const someFrame = fc
  .record({
    kind: fc.constantFrom(...kinds),
    innerKind: fc.constantFrom<Kind | null>(null, null, null, ...kinds),
    tags: fc.constantFrom([], [], [5], [6, 5]),
    to: fc.constantFrom(ownMac, ownMac, ownMac, '02:00:00:00:00:12'),
    source: fc.constantFrom(...lbs, '203.0.113.16', '2001:db8:201::1'),
    destination: fc.constantFrom(...vips, '198.51.100.8', '2001:db8::8'),
    outerClass: fc.nat(255),
    innerClass: fc.nat(255),
    options: fc.constantFrom(0, 0, 0, 4, 40),
    fragment: fc.constantFrom(0, 0x4000, 0x4000, 0x2000, 0x1fff),
  })
  .map(({ kind, innerKind, tags, to, source, destination, outerClass, innerClass, options, fragment }) => {
    const family = (ip: Ip, v6: boolean) => ip.includes(':') === v6;
    const inside = innerKind ?? kind;
    const to4 = family(destination, inside === '6in6') ? { destination } : {};
    const from4 = family(source, kind !== '4in4') ? { source } : {};
    const packet = inner(inside, { trafficClass: innerClass, ...to4 });
    const fields = {
      trafficClass: outerClass,
      fragment,
      ...(options > 0 && { options: Buffer.alloc(options, 1) }),
      ...from4,
    };
    return ethernet(outer(kind, packet, fields), { to, tags });
  });

const mutated = fc
  .tuple(
    someFrame,
    fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 3 }),
    fc.oneof({ weight: 9, arbitrary: fc.constant(200) }, { weight: 1, arbitrary: fc.nat(120) }),
    fc.boolean(),
  )
  .map(([frame, changes, length, mend]) => {
    const bytes = Buffer.from(frame.subarray(0, Math.max(14, length)));
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    // A mutated header with a good checksum gets further.
    if (mend && bytes.length >= 34 && bytes.readUInt16BE(12) === 0x0800) {
      bytes.writeUInt16BE(0, 24);
      bytes.writeUInt16BE(checksum(bytes.subarray(14, 34)), 24);
    }
    return bytes;
  });

test('20,000 random and mutated frames: verdict, reason and every byte as the model has them', (t) => {
  const seen = new Map<string, number>();
  const random = fc.uint8Array({ minLength: 14, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const frames = fc.oneof({ weight: 19, arbitrary: mutated }, { weight: 1, arbitrary: random });
  fc.assert(
    fc.property(frames, fc.constantFrom<keyof typeof programs>('open', 'strict'), (frame, name) => {
      const wanted = decapsulate(frame, modelRules[name]);
      const result = programs[name].run(frame);
      seen.set(wanted.reason, (seen.get(wanted.reason) ?? 0) + 1);
      const same = result.reason === wanted.reason && result.verdict === wanted.verdict;
      // A dropped frame's bytes are nobody's.
      return same && (wanted.verdict === 'drop' || result.frame.equals(wanted.frame));
    }),
    { numRuns: 20_000 },
  );
  const all = Object.keys(DecapReason).map((name) => name.replace('DECAP_', '').toLowerCase());
  const unseen = all.filter((name) => !['drop_internal', 'reason_count'].includes(name) && !seen.has(name));
  t.deepEqual(unseen, [], 'every reason was reached');
  t.log([...seen].map(([reason, count]) => `${reason} ${count}`).join(', '));
});
