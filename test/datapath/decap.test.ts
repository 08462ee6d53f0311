import test from 'ava';
import fc from 'fast-check';
import { DecapReason } from '../../src/abi/abi.generated.js';
import { objectPath } from '../../src/backend/program.js';
import { encodeConfig } from '../../src/backend/rules.js';
import type { Ip } from '../../src/base/ip.js';
import { BpfObject } from '../../src/dataplane/addon.js';
import {
  checksum,
  ethernet,
  type GueKind,
  gue,
  gueKinds,
  type IpFields,
  inner,
  ipv4,
  isInner6,
  isOuter6,
  type Kind,
  kinds,
  outer,
  ownMac,
  protocol,
} from './decap_frames.js';
import { decapsulate, type ModelRules } from './decap_model.js';
import { BackendPrograms, randomRuns, rulesWith } from './decap_program.js';

const lbs = ['203.0.113.11', '2001:db8:200::11'];
const vips = ['198.51.100.7', '2001:db8::7'];
const open = rulesWith();
const strict = rulesWith({
  macs: ['02:00:00:00:00:99', ownMac],
  from: [
    { address: '203.0.113.8', bits: 29 },
    { address: '2001:db8:200::', bits: 64 },
  ],
  onlyVips: true,
  vips,
  guePort: 6635,
});

const programs = { open: new BackendPrograms(open), strict: new BackendPrograms(strict) };
test.after.always(() => {
  for (const program of Object.values(programs)) program.close();
});

test("each kind is stripped down to the client's packet, with and without VLAN tags", (t) => {
  for (const kind of kinds) {
    for (const tags of [[], [100], [200, 100]]) {
      const packet = inner(kind);
      const result = programs.open.run(ethernet(outer(kind, packet), { tags }));
      t.deepEqual(result, {
        verdict: 'pass',
        reason: `stripped_${kind}`,
        frame: ethernet(packet, { tags }),
        events: [],
      });
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
    ethernet(gue('gue4', inner('4in4'), { port: 6081 })),
    ethernet(gue('gue6', inner('6in6'), { port: 6081 })),
    // Later fragments have no ports.
    ethernet(gue('gue4', inner('4in4'), { fragment: 0x0010 })),
    ethernet(gue('gue4', inner('4in4')).subarray(0, 26)),
  ];
  for (const frame of frames)
    t.deepEqual(programs.open.run(frame), {
      verdict: 'pass',
      reason: 'pass_not_tunnel',
      frame: Buffer.from(frame),
      events: [],
    });
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
    t.deepEqual(programs.strict.run(bytes), { verdict: 'pass', reason, frame: bytes, events: [] });
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
    [of('6in4', {}, inner('4in4')), 'drop_inner'],
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
  t.deepEqual(programs.open.run(frame), { verdict: 'pass', reason: 'pass_options', frame, events: [] });
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
        if (!isInner6(kind)) t.is(checksum(result.frame.subarray(14, 34)), 0);
      }
    }
  }
});

test('counters name packets and bytes as received', (t) => {
  const program = new BackendPrograms(open);
  t.teardown(() => program.close());
  const frame = ethernet(outer('4in4', inner('4in4')));
  for (let i = 0; i < 3; i++) program.run(frame);
  t.is(program.bytes('stripped_4in4'), BigInt(3 * frame.length));
});

test('the program loads without support for frames in fragments, as kernels before 5.18 have it', (t) => {
  const object = BpfObject.load(objectPath, { frags: false, rodata: { config: encodeConfig(open, false) } });
  t.teardown(() => object.close());
  const frame = ethernet(outer('6in6', inner('6in6')));
  const { retval, data } = object.program('decap').testRun({ data: frame });
  t.is(retval, 2);
  t.deepEqual(Buffer.from(data), ethernet(inner('6in6')));
});

test('without a MAC of its own the program strips nothing', (t) => {
  const program = new BackendPrograms({ ...open, macs: [] });
  t.teardown(() => program.close());
  t.is(program.run(ethernet(outer('4in4', inner('4in4')), { to: '00:00:00:00:00:00' })).reason, 'pass_other_mac');
});

test('GUE is stripped down to the packet in it: variant 1, and variant 0 with a plain header; its checksum is not looked at', (t) => {
  for (const kind of gueKinds) {
    for (const inside of ['4in4', '6in6'] as const) {
      const packet = inner(inside);
      const header = [0, isInner6(inside) ? protocol.ipv6 : protocol.ipip, 0, 0];
      for (const fields of [{}, { header }, { udpChecksum: 0xbeef }, { header, udpChecksum: 1 }]) {
        for (const tags of [[], [100], [200, 100]]) {
          t.deepEqual(programs.open.run(ethernet(gue(kind, packet, fields), { tags })), {
            verdict: 'pass',
            reason: `stripped_${kind}`,
            frame: ethernet(packet, { tags }),
            events: [],
          });
        }
      }
    }
  }
});

test('GUE goes to the port that was given, and to none when it is off', (t) => {
  const on = (port: number) => ethernet(gue('gue4', inner('4in4', { destination: vips[0]! }), { port }));
  t.is(programs.strict.run(on(6635)).reason, 'stripped_gue4');
  t.is(programs.strict.run(on(6080)).reason, 'pass_not_tunnel');
  const off = new BackendPrograms(rulesWith({ guePort: null }));
  t.teardown(() => off.close());
  t.is(off.run(on(6080)).reason, 'pass_not_tunnel');
  t.is(off.run(on(0)).reason, 'pass_not_tunnel');
});

test('GUE that cannot be understood is dropped, with a reason', (t) => {
  const packet = inner('4in4');
  const cases: readonly (readonly [Buffer, string])[] = [
    [gue('gue4', packet, { header: [0x20, 1, 0, 0] }), 'drop_gue'],
    [gue('gue4', packet, { header: [0x01, 4, 0, 0, 0, 0, 0, 0] }), 'drop_gue'],
    [gue('gue4', packet, { header: [0, 4, 0x80, 0] }), 'drop_gue'],
    [gue('gue4', packet, { header: [0, 4, 0, 1] }), 'drop_gue'],
    [gue('gue4', packet, { header: [0, 6, 0, 0] }), 'drop_gue'],
    [gue('gue6', packet, { header: [0x80, 4, 0, 0] }), 'drop_gue'],
    [gue('gue6', packet, { header: [0xc0, 4, 0, 0] }), 'drop_gue'],
    [gue('gue4', Buffer.from([0x50, 0, 0, 0])), 'drop_gue'],
    [gue('gue4', Buffer.from([0x70, 0, 0, 0])), 'drop_gue'],
    [gue('gue4', Buffer.from([0x45, 0])), 'drop_gue'],
    [gue('gue4', packet, { header: [0, 4, 0, 0], udpLength: 11 }), 'drop_gue'],
    [gue('gue4', packet, { udpLength: 7 }), 'drop_malformed'],
    [gue('gue6', packet, { udpLength: 900 }), 'drop_malformed'],
    [gue('gue4', packet, { length: 900 }), 'drop_malformed'],
    [gue('gue4', packet, { checksum: 0x1234 }), 'drop_checksum'],
    // Of a datagram in fragments the first alone names the port; its length is the whole datagram's.
    [gue('gue4', packet, { fragment: 0x2000, udpLength: 1480 }), 'drop_fragment'],
    [gue('gue4', packet, { udpLength: 20 }), 'drop_inner'],
    [gue('gue4', packet.subarray(0, 19)), 'drop_inner'],
    [gue('gue6', inner('6in6').subarray(0, 39)), 'drop_inner'],
  ];
  for (const [bytes, reason] of cases) t.like(programs.open.run(ethernet(bytes)), { verdict: 'drop', reason });
  t.is(programs.open.run(ethernet(gue('gue4', packet, { options: Buffer.from([1, 1, 1, 0]) }))).reason, 'pass_options');
});

test('a VIP is counted as the client sent it, by tunnel or without; other traffic is not', (t) => {
  const [vip4, vip6] = vips as [Ip, Ip];
  const program = new BackendPrograms(rulesWith({ vips }));
  t.teardown(() => program.close());
  const packet4 = inner('4in4', { destination: vip4 });
  const packet6 = inner('6in6', { destination: vip6 });
  for (const bytes of [
    packet4,
    outer('4in4', packet4),
    outer('4in6', packet4),
    gue('gue4', packet4),
    packet6,
    outer('6in4', packet6),
    gue('gue6', packet6, { header: [0, 41, 0, 0] }),
    inner('4in4', { destination: '198.51.100.8' }),
    outer('4in4', inner('4in4', { destination: '198.51.100.8' })),
  ])
    t.is(program.run(ethernet(bytes)).verdict, 'pass');
  t.like(program.usage(vip4), { packetsIn: 4n, bytesIn: BigInt(4 * ethernet(packet4).length), packetsOut: 0n });
  t.like(program.usage(vip6), { packetsIn: 3n, bytesIn: BigInt(3 * ethernet(packet6).length), packetsOut: 0n });
  t.is(program.run(ethernet(packet4)).reason, 'pass_vip');
  t.is(program.run(ethernet(packet4, { to: '02:00:00:00:00:12' })).reason, 'pass_other_mac');
  t.is(program.usage(vip4)?.packetsIn, 5n);
  // Nothing of what was dropped.
  t.is(program.run(ethernet(outer('4in4', packet4, { checksum: 1 }))).reason, 'drop_checksum');
  t.is(program.usage(vip4)?.packetsIn, 5n);
});

test('what a VIP sends is counted, cut into segments or not', (t) => {
  const [vip4, vip6] = vips as [Ip, Ip];
  const program = new BackendPrograms(rulesWith({ vips }));
  t.teardown(() => program.close());
  const reply4 = ethernet(inner('4in4', { source: vip4 }));
  const reply6 = ethernet(inner('6in6', { source: vip6 }), { tags: [5] });
  t.deepEqual(program.leave(reply4), { verdict: 'go on', frame: reply4, events: [] });
  t.deepEqual(program.leave(reply6), { verdict: 'go on', frame: reply6, events: [] });
  program.leave(ethernet(inner('4in4')));
  program.leave(ethernet(Buffer.alloc(46), { type: 0x0806 }));
  t.like(program.usage(vip4), { packetsOut: 1n, bytesOut: BigInt(reply4.length), packetsIn: 0n });
  t.like(program.usage(vip6), { packetsOut: 1n, bytesOut: BigInt(reply6.length), packetsIn: 0n });
  const large = ethernet(ipv4(Buffer.alloc(20 + 2 * 1448), { source: vip4 }));
  program.leave(large, { segments: 2, wireBytes: large.length + 54 });
  t.like(program.usage(vip4), { packetsOut: 3n, bytesOut: BigInt(reply4.length + large.length + 54) });
});

test('the programs verify within bounds, with everything on', (t) => {
  const mapping = { protocol: 'tcp', vip: vips[0]!, vipPort: 80, host: '203.0.113.21', hostPort: 8080 } as const;
  const program = new BackendPrograms({
    ...strict,
    mappings: [mapping],
    exempt: [{ address: '203.0.113.8', bits: 29 }],
    clamp: 'auto',
  });
  t.teardown(() => program.close());
  t.log(`verified instructions: ${JSON.stringify(program.instructions)}`);
  t.true(program.instructions.decap < 100_000);
  t.true(program.instructions.reply < 200_000);
});

const modelRules: Readonly<Record<keyof typeof programs, ModelRules>> = {
  open: { macs: [ownMac], isSource: null, vips: [], onlyVips: false, guePort: 6080 },
  strict: {
    macs: strict.macs,
    isSource: (ip) => /^203\.0\.113\.(8|9|1[0-5])$/.test(ip) || /^2001:db8:200:(0:|:)/.test(ip),
    vips,
    onlyVips: true,
    guePort: 6635,
  },
};

/** Mostly right, so that every step is reached; then some bytes are changed, and some cut off. */
const someFrame = fc
  .record({
    kind: fc.constantFrom<Kind | GueKind | 'none'>(...kinds, ...gueKinds, ...gueKinds, 'none'),
    gueInside: fc.constantFrom<Kind>('4in4', '6in6'),
    innerKind: fc.constantFrom<Kind | null>(null, null, null, null, null, ...kinds),
    tags: fc.constantFrom([], [], [5], [6, 5]),
    to: fc.constantFrom(ownMac, ownMac, ownMac, '02:00:00:00:00:12'),
    source: fc.constantFrom(...lbs, ...lbs, '203.0.113.16', '2001:db8:201::1'),
    destination: fc.constantFrom(...vips, ...vips, '198.51.100.8', '2001:db8::8'),
    outerClass: fc.nat(255),
    innerClass: fc.nat(255),
    options: fc.constantFrom(0, 0, 0, 0, 4, 40),
    fragment: fc.constantFrom(0, 0x4000, 0x4000, 0x4000, 0x2000, 0x1fff),
    port: fc.constantFrom(6080, 6080, 6635, 6635, 6081),
    header: fc.constantFrom<readonly number[]>([], [], [0, 4, 0, 0], [0, 41, 0, 0], [0x20, 0, 0, 0], [1, 4, 0, 0]),
  })
  .map((made) => {
    const { kind, tags, to, source, destination, options } = made;
    const isOf = (ip: Ip, v6: boolean) => ip.includes(':') === v6;
    const straight = kind === 'none' || kind === 'gue4' || kind === 'gue6';
    const inside = made.innerKind ?? (straight ? made.gueInside : kind);
    const to4 = isOf(destination, isInner6(inside)) ? { destination } : {};
    const packet = inner(inside, { trafficClass: made.innerClass, ...to4 });
    if (kind === 'none') return ethernet(packet, { to, tags });
    const fields = {
      trafficClass: made.outerClass,
      fragment: made.fragment,
      ...(options > 0 && { options: Buffer.alloc(options, 1) }),
      ...(isOf(source, isOuter6(kind)) ? { source } : {}),
    };
    const tunnelled =
      kind === 'gue4' || kind === 'gue6'
        ? gue(kind, packet, { ...fields, port: made.port, header: made.header })
        : outer(kind, packet, fields);
    return ethernet(tunnelled, { to, tags });
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

test('40,000 random and mutated frames: verdict, reason and every byte as the model has them', (t) => {
  const runs = randomRuns(40_000);
  const seen = new Map<string, number>();
  const random = fc.uint8Array({ minLength: 14, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const frames = fc.oneof({ weight: 19, arbitrary: mutated }, { weight: 1, arbitrary: random });
  fc.assert(
    fc.property(frames, fc.constantFrom<keyof typeof programs>('open', 'strict'), (frame, name) => {
      const wanted = decapsulate(frame, modelRules[name]);
      const result = programs[name].run(frame);
      seen.set(wanted.reason, (seen.get(wanted.reason) ?? 0) + 1);
      const same = result.reason === wanted.reason && result.verdict === wanted.verdict && result.events.length === 0;
      // A dropped frame's bytes are nobody's.
      return same && (wanted.verdict === 'drop' || result.frame.equals(wanted.frame));
    }),
    { numRuns: runs },
  );
  const all = Object.keys(DecapReason).map((name) => name.replace('DECAP_', '').toLowerCase());
  const unseen = all.filter((name) => !['drop_internal', 'reason_count'].includes(name) && !seen.has(name));
  if (runs === 40_000) t.deepEqual(unseen, [], 'every reason was reached');
  t.true(seen.size > 5);
  t.log([...seen].map(([reason, count]) => `${reason} ${count}`).join(', '));
});

test('frames of every kind, cut off at each byte, fare as the model says', (t) => {
  let count = 0;
  for (const kind of [...kinds, ...gueKinds]) {
    const packet = inner(kind === 'gue4' || kind === 'gue6' ? '4in4' : kind, { destination: '198.51.100.7' });
    const whole = kind === 'gue4' || kind === 'gue6' ? gue(kind, packet) : outer(kind, packet);
    for (const tags of [[], [6, 5]]) {
      const frame = ethernet(whole, { tags });
      for (let length = 14; length <= frame.length; length++) {
        const cut = Buffer.from(frame.subarray(0, length));
        const wanted = decapsulate(cut, modelRules.open);
        const result = programs.open.run(cut);
        t.is(result.reason, wanted.reason, `${kind} ${tags.length} tags, ${length} bytes`);
        if (wanted.verdict === 'pass') t.true(result.frame.equals(wanted.frame));
        count++;
      }
    }
  }
  t.log(`${count} frames`);
});
