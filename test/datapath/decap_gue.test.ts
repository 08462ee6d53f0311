import test from 'ava';
import { programs, vips } from './decap_bed.js';
import { ethernet, gue, gueKinds, inner, isInner6, protocol } from './decap_frames.js';
import { BackendPrograms, rulesWith } from './decap_program.js';

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
