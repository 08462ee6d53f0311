import test from 'ava';
import { objectPath } from '../../src/backend/program.js';
import { encodeConfig } from '../../src/backend/rules.js';
import type { Ip } from '../../src/base/ip.js';
import { BpfObject } from '../../src/dataplane/addon.js';
import { lbs, open, programs, strict, vips } from './decap_bed.js';
import {
  checksum,
  ethernet,
  gue,
  type IpFields,
  inner,
  ipv4,
  isInner6,
  type Kind,
  kinds,
  outer,
  ownMac,
  protocol,
} from './decap_frames.js';
import { BackendPrograms, rulesWith } from './decap_program.js';

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
