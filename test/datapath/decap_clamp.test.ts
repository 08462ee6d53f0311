import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { Clamp } from '../../src/backend/rules.js';
import { internetChecksum } from '../support/checksum.js';
import type { Payload } from '../support/frame.js';
import { tcp, tcpFlags } from '../support/transport.js';
import { gue, outer } from './decap_frames.js';
import { BackendPrograms, randomRuns, rulesWith } from './decap_program.js';
import { bytesOf, client4, client6, frameOf, host4, host6, ip, isSound, vip4, vip6 } from './ports_frames.js';

/** Tests run where loopback's MTU is what it is everywhere. */
const loopbackMtu = 65536;

function backend(t: ExecutionContext, clamp: Clamp): BackendPrograms {
  const mappings = [
    { protocol: 'tcp', vip: vip4, vipPort: 80, host: host4, hostPort: 8080 },
    { protocol: 'tcp', vip: vip6, vipPort: 80, host: host6, hostPort: 8080 },
  ] as const;
  const programs = new BackendPrograms(rulesWith({ vips: [vip4, vip6, '192.0.2.11'], mappings, clamp }));
  t.teardown(() => programs.close());
  return programs;
}

/** A TCP segment with options. */
function segment(flags: string, options: readonly number[], ports = { from: 443, to: 40_000 }): Payload {
  return {
    protocol: 6,
    bytes: (pseudo) => {
      const plain = tcp(ports).bytes(pseudo);
      const whole = Buffer.concat([plain, Buffer.from(options)]);
      whole[12] = (whole.length / 4) << 4;
      whole[13] = tcpFlags(flags);
      whole.writeUInt16BE(0, 16);
      whole.writeUInt16BE(internetChecksum(pseudo(whole.length), whole), 16);
      return whole;
    },
  };
}

const mss = (bytes: number): readonly number[] => [2, 4, bytes >> 8, bytes & 255];
const sackPermitted = [4, 2];
const timestamps = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
const windowScale = [3, 3, 7];
const nop = [1];

test('a SYN-ACK of a VIP offers what was set; what is small enough stays', (t) => {
  const programs = backend(t, 1400);
  for (const [client, vip] of [
    [client4, vip4],
    [client6, vip6],
  ] as const) {
    const offer = (bytes: number) =>
      frameOf(ip(vip, client, segment('SA', [...mss(bytes), ...sackPermitted, ...timestamps, ...nop, ...windowScale])));
    t.deepEqual(programs.leave(offer(1460)), { verdict: 'go on', frame: offer(1400), events: ['mss_clamped'] });
    for (const bytes of [1400, 1399, 536, 0]) {
      t.deepEqual(programs.leave(offer(bytes)), { verdict: 'go on', frame: offer(bytes), events: [] });
    }
  }
});

test('a mapped port offers it too, as the VIP that the client sees', (t) => {
  const programs = backend(t, 1400);
  for (const [client, vip, host] of [
    [client4, vip4, host4],
    [client6, vip6, host6],
  ] as const) {
    const offer = (from: string, port: number, bytes: number) =>
      frameOf(ip(from, client, segment('SA', mss(bytes), { from: port, to: 40_000 })), [7]);
    t.deepEqual(programs.leave(offer(host, 8080, 1460)), {
      verdict: 'go on',
      frame: offer(vip, 80, 1400),
      events: ['mapped_out', 'mss_clamped'],
    });
  }
});

test('nothing else is changed: no SYN of a client, no later segment, no other source, no option that is not whole', (t) => {
  const programs = backend(t, 1400);
  for (const packet of [
    ip(vip4, client4, segment('S', mss(1460))),
    ip(vip4, client4, segment('A', mss(1460))),
    ip(host4, client4, segment('SA', mss(1460))),
    ip(vip4, client4, segment('SA', [])),
    ip(vip4, client4, segment('SA', [0, ...mss(1460), 0, 0, 0])),
    ip(vip4, client4, segment('SA', [8, 0, ...mss(1460), 0, 0])),
    ip(vip4, client4, segment('SA', [2, 3, 0xff, 0])),
    ip(vip4, client4, segment('SA', [1, 1, 2, 4])),
    ip(vip4, client4, segment('SA', [30, 8, ...mss(1460), 0, 0])),
    ip(vip4, client4, segment('SA', mss(1460)), { fragment: 0x2000 }),
  ]) {
    const frame = frameOf(packet);
    t.deepEqual(programs.leave(frame), { verdict: 'go on', frame, events: [] });
  }
});

test('auto: no more than fits behind the outer header that the VIP was reached by, and nothing without a tunnel', (t) => {
  const programs = backend(t, 'auto');
  const offered = (vip: string, client: string): number => {
    const { frame, events } = programs.leave(frameOf(ip(vip, client, segment('SA', mss(65535)))));
    const at = 14 + (vip.includes(':') ? 40 : 20) + 22;
    t.deepEqual(events, frame.readUInt16BE(at) === 65535 ? [] : ['mss_clamped']);
    return frame.readUInt16BE(at);
  };
  const syn4 = bytesOf(ip(client4, vip4, segment('S', mss(1460), { from: 40_000, to: 443 })));
  const syn6 = bytesOf(ip(client6, vip6, segment('S', mss(1440), { from: 40_000, to: 443 })));

  t.is(offered(vip4, client4), 65535, 'not reached yet');
  programs.run(frameOf(syn4));
  t.is(offered(vip4, client4), 65535, 'reached without a tunnel');
  for (const [tunnelled, overhead] of [
    [outer('4in4', syn4), 20],
    [gue('gue4', syn4), 28],
    [gue('gue4', syn4, { header: [0, 4, 0, 0] }), 32],
    [outer('4in6', syn4), 40],
    [gue('gue6', syn4), 48],
  ] as const) {
    programs.run(frameOf(tunnelled));
    t.is(offered(vip4, client4), loopbackMtu - overhead - 40);
  }
  programs.run(frameOf(outer('4in4', syn4)));
  t.is(offered(vip4, client4), loopbackMtu - 48 - 40, 'the widest way counts');
  t.is(offered('192.0.2.11', client4), 65535, 'each VIP for itself');

  programs.run(frameOf(outer('6in6', syn6)));
  t.is(offered(vip6, client6), loopbackMtu - 40 - 60);
});

test('off: nothing is clamped', (t) => {
  const programs = backend(t, 'off');
  const frame = frameOf(ip(vip4, client4, segment('SA', mss(1460))));
  programs.run(frameOf(outer('4in4', bytesOf(ip(client4, vip4, segment('S', mss(1460)))))));
  t.deepEqual(programs.leave(frame), { verdict: 'go on', frame, events: [] });
});

/** The value of the MSS option as RFC 9293 has options read; null: none among the first 12. */
function findMss(options: Buffer): number | null {
  let at = 0;
  for (let i = 0; i < 12; i++) {
    if (at + 4 > options.length || options[at] === 0) return null;
    if (options[at] === 1) {
      at += 1;
      continue;
    }
    if (options[at] === 2 && options[at + 1] === 4) return at + 2;
    if (options[at + 1]! < 2) return null;
    at += options[at + 1]!;
  }
  return null;
}

test('options in any order, at odd places, and of random bytes: clamped where MSS is, and the checksum stays right', (t) => {
  const runs = randomRuns(10_000);
  const programs = backend(t, 1234);
  let clamped = 0;
  const some = fc.array(
    fc.oneof(
      fc.constant(nop),
      fc.constant(nop),
      fc.constant(sackPermitted),
      fc.constant(timestamps),
      fc.constant(windowScale),
      fc.nat(65535).map(mss),
      fc.uint8Array({ maxLength: 6 }).map((bytes) => [...bytes]),
    ),
    { maxLength: 14 },
  );
  const options = some.map((parts) => {
    const bytes = parts.flat().slice(0, 40);
    return [...bytes, ...new Array<number>((4 - (bytes.length % 4)) % 4).fill(0)];
  });
  fc.assert(
    fc.property(options, fc.boolean(), (bytes, v6) => {
      const [vip, client] = v6 ? [vip6, client6] : [vip4, client4];
      const frame = frameOf(ip(vip, client, segment('SA', bytes)));
      const found = findMss(Buffer.from(bytes));
      const first = frame.length - bytes.length;
      const isTooMuch = found !== null && frame.readUInt16BE(first + found) > 1234;
      const wanted = Buffer.from(bytes);
      if (isTooMuch) wanted.writeUInt16BE(1234, found);
      const result = programs.leave(frame);
      if (isTooMuch) clamped++;
      return (
        result.frame.subarray(first).equals(wanted) &&
        isSound(result.frame.subarray(14)) &&
        result.events.length === (isTooMuch ? 1 : 0)
      );
    }),
    { numRuns: runs },
  );
  t.log(`${clamped} clamped`);
  t.true(clamped > runs / 10);
});
