import test from 'ava';
import fc from 'fast-check';
import { internetChecksum } from '../support/checksum.js';
import { icmp4, tcp, udp } from '../support/transport.js';
import { gue, outer, ownMac } from './decap_frames.js';
import { decapsulate, type ModelRules } from './decap_model.js';
import { BackendPrograms, eventNames, randomRuns, rulesWith } from './decap_program.js';
import {
  bytesOf,
  client4,
  client6,
  fragmentOf,
  frameOf,
  host4,
  host6,
  icmpError,
  ip,
  isSound,
  lb4,
  mappings,
  mutated,
  somePacket,
  vip4,
  vip6,
} from './ports_frames.js';
import { PortsModel } from './ports_model.js';

const vips = [vip4, vip6, '192.0.2.99'];
const rules = rulesWith({
  vips,
  mappings,
  exempt: [
    { address: '203.0.113.8', bits: 29 },
    { address: '2001:db8:200::11', bits: 128 },
  ],
});
const isExempt = (address: string) => /^203\.0\.113\.(8|9|1[0-5])$/.test(address) || address === '2001:db8:200::11';
const programs = new BackendPrograms(rules);
test.after.always(() => programs.close());

/** [client, VIP, host] */
const families = [
  [client4, vip4, host4],
  [client6, vip6, host6],
] as const;

test("a packet to a VIP's mapped port goes to the host's own address and port, and its reply comes from the VIP", (t) => {
  for (const [client, vip, host] of families) {
    for (const [transport, port, hostPort] of [
      [tcp, 80, 8080],
      [udp, 53, 5353],
    ] as const) {
      const name = transport === tcp ? 'tcp' : 'udp';
      const request = frameOf(ip(client, vip, transport({ from: 40_000, to: port }, 'hello')));
      const delivered = frameOf(ip(client, host, transport({ from: 40_000, to: hostPort }, 'hello')));
      t.deepEqual(
        programs.run(request),
        { verdict: 'pass', reason: 'pass_vip', frame: delivered, events: ['mapped_in'] },
        name,
      );
      const reply = frameOf(ip(host, client, transport({ from: hostPort, to: 40_000 }, 'world')));
      const seen = frameOf(ip(vip, client, transport({ from: port, to: 40_000 }, 'world')));
      t.deepEqual(programs.leave(reply), { verdict: 'go on', frame: seen, events: ['mapped_out'] }, name);
    }
  }
});

test('by whichever tunnel it came', (t) => {
  for (const [client, vip, host] of families) {
    const v6 = vip === vip6;
    const request = bytesOf(ip(client, vip, tcp({ from: 40_000, to: 80 }, 'hello')));
    const delivered = frameOf(ip(client, host, tcp({ from: 40_000, to: 8080 }, 'hello')));
    for (const tunnelled of [
      outer(v6 ? '6in4' : '4in4', request),
      outer(v6 ? '6in6' : '4in6', request),
      gue('gue4', request),
      gue('gue6', request),
    ]) {
      const result = programs.run(frameOf(tunnelled));
      t.deepEqual(result.events, ['mapped_in']);
      t.deepEqual(result.frame, delivered);
    }
  }
});

test('a UDP datagram without a checksum keeps none, both ways', (t) => {
  const without = (packet: Buffer) => {
    packet.writeUInt16BE(0, 26);
    return frameOf(packet);
  };
  const request = without(bytesOf(ip(client4, vip4, udp({ from: 40_000, to: 53 }, 'q'))));
  t.deepEqual(programs.run(request).frame, without(bytesOf(ip(client4, host4, udp({ from: 40_000, to: 5353 }, 'q')))));
  const reply = without(bytesOf(ip(host4, client4, udp({ from: 5353, to: 40_000 }, 'a'))));
  t.deepEqual(programs.leave(reply).frame, without(bytesOf(ip(vip4, client4, udp({ from: 53, to: 40_000 }, 'a')))));
});

test('other ports, other protocols and other VIPs stay as they are', (t) => {
  for (const packet of [
    ip(client4, vip4, tcp({ from: 40_000, to: 81 })),
    ip(client4, vip4, udp({ from: 40_000, to: 80 })),
    ip(client4, vip4, icmp4(8, 0, Buffer.from('ping'))),
    ip(client4, '192.0.2.99', tcp({ from: 40_000, to: 80 })),
  ]) {
    const frame = frameOf(packet);
    t.deepEqual(programs.run(frame), { verdict: 'pass', reason: 'pass_vip', frame, events: [] });
  }
  for (const packet of [
    ip(host4, client4, tcp({ from: 8081, to: 40_000 })),
    ip(host4, client4, udp({ from: 8080, to: 40_000 })),
    ip(host4, client4, icmp4(0, 0, Buffer.from('ping'))),
    ip(vip4, client4, tcp({ from: 8080, to: 40_000 })),
  ]) {
    const frame = frameOf(packet);
    t.deepEqual(programs.leave(frame), { verdict: 'go on', frame, events: [] });
  }
});

test('of exempt addresses nothing is mapped: the load balancer checks the own port', (t) => {
  const request = frameOf(ip(lb4, vip4, tcp({ from: 40_000, to: 80 })));
  t.deepEqual(programs.run(request), { verdict: 'pass', reason: 'pass_vip', frame: request, events: ['exempt_in'] });
  const reply = frameOf(ip(host4, lb4, tcp({ from: 8080, to: 40_000 })));
  t.deepEqual(programs.leave(reply), { verdict: 'go on', frame: reply, events: ['exempt_out'] });
});

test('a router that tells of a reply is understood by the socket that sent it; eight bytes of it are enough', (t) => {
  for (const [client, vip, host] of families) {
    const v6 = vip === vip6;
    for (const quotedBytes of [8, 20, 60]) {
      const quote = (from: string, port: number) =>
        bytesOf(ip(from, client, tcp({ from: port, to: 40_000 }, 'p'.repeat(64)))).subarray(
          0,
          (v6 ? 40 : 20) + quotedBytes,
        );
      const router = v6 ? '2001:db8::1' : '198.51.100.1';
      const told = frameOf(icmpError(router, vip, quote(vip, 80)));
      const delivered = frameOf(icmpError(router, host, quote(host, 8080)));
      t.deepEqual(programs.run(told), {
        verdict: 'pass',
        reason: 'pass_vip',
        frame: delivered,
        events: ['mapped_icmp_in'],
      });
    }
  }
});

test('what this host tells of a request is understood by the client: it speaks of the VIP', (t) => {
  for (const [client, vip, host] of families) {
    const quote = (to: string, port: number) => bytesOf(ip(client, to, udp({ from: 40_000, to: port }, 'question')));
    const told = frameOf(icmpError(host, client, quote(host, 5353)));
    const delivered = frameOf(icmpError(vip, client, quote(vip, 53)));
    t.deepEqual(programs.leave(told), { verdict: 'go on', frame: delivered, events: ['mapped_icmp_out'] });
  }
});

test('an ICMP error about another flow, or one that quotes another address, stays as it is', (t) => {
  const quote = bytesOf(ip(vip4, client4, tcp({ from: 22, to: 40_000 })));
  const stranger = bytesOf(ip('192.0.2.99', client4, tcp({ from: 80, to: 40_000 })));
  const short = bytesOf(ip(vip4, client4, tcp({ from: 80, to: 40_000 }))).subarray(0, 23);
  for (const bytes of [quote, stranger, short]) {
    const frame = frameOf(icmpError('198.51.100.1', vip4, bytes));
    t.deepEqual(programs.run(frame), { verdict: 'pass', reason: 'pass_vip', frame, events: [] });
  }
});

test('later fragments go the way of the first; without it they stay as they are', (t) => {
  for (const [client, vip, host] of families) {
    const request = ip(client, vip, udp({ from: 40_000, to: 53 }, 'q'.repeat(100)));
    const delivered = ip(client, host, udp({ from: 40_000, to: 5353 }, 'q'.repeat(100)));
    const pieces = [
      { at: 0, bytes: 48, id: 77 },
      { at: 48, bytes: 48, id: 77 },
      { at: 96, bytes: 48, id: 77 },
    ] as const;
    const early = frameOf(fragmentOf(request, pieces[1]));
    t.deepEqual(programs.run(early).frame, early);
    for (const piece of pieces) {
      t.deepEqual(programs.run(frameOf(fragmentOf(request, piece))).frame, frameOf(fragmentOf(delivered, piece)));
    }
    const reply = ip(host, client, udp({ from: 5353, to: 40_000 }, 'a'.repeat(100)));
    const seen = ip(vip, client, udp({ from: 53, to: 40_000 }, 'a'.repeat(100)));
    for (const piece of pieces) {
      t.deepEqual(programs.leave(frameOf(fragmentOf(reply, piece))).frame, frameOf(fragmentOf(seen, piece)));
    }
    // The same number, used again by a flow that is not mapped.
    const other = ip(client, vip, udp({ from: 40_000, to: 54 }, 'q'.repeat(100)));
    for (const piece of pieces) {
      const frame = frameOf(fragmentOf(other, piece));
      t.deepEqual(programs.run(frame).frame, frame);
    }
  }
});

test('a reply that is counted is counted for its VIP, and one of another port is not', (t) => {
  const fresh = new BackendPrograms(rules);
  t.teardown(() => fresh.close());
  const reply = frameOf(ip(host4, client4, tcp({ from: 8080, to: 40_000 }, 'world')));
  fresh.leave(reply);
  fresh.leave(frameOf(ip(host4, client4, tcp({ from: 22, to: 40_000 }, 'world'))));
  t.like(fresh.usage(vip4), { packetsOut: 1n, bytesOut: BigInt(reply.length) });
  t.is(fresh.usage(host4), undefined);
});

test('segments that are yet to be cut, longer than a length field can say, are mapped', (t) => {
  for (const [client, vip, host] of families) {
    const v6 = vip === vip6;
    const unsaid = (from: string, port: number) => {
      const packet = bytesOf(ip(from, client, tcp({ from: port, to: 40_000 }, 'w'.repeat(64))));
      packet.writeUInt16BE(0, v6 ? 4 : 2);
      if (!v6) {
        packet.writeUInt16BE(0, 10);
        packet.writeUInt16BE(internetChecksum(packet.subarray(0, 20)), 10);
      }
      return frameOf(packet);
    };
    t.deepEqual(programs.leave(unsaid(host, 8080)), {
      verdict: 'go on',
      frame: unsaid(vip, 80),
      events: ['mapped_out'],
    });
  }
});

test('checksums that were right are right again', (t) => {
  const runs = randomRuns(5000);
  let mapped = 0;
  const check = (frame: Buffer, result: { readonly frame: Buffer; readonly events: readonly string[] }) => {
    const at = frame.readUInt16BE(12) === 0x8100 ? (frame.readUInt16BE(16) === 0x8100 ? 22 : 18) : 14;
    const isWhole = (packet: Buffer) =>
      packet[0]! >> 4 === 6 ? ![44, 60].includes(packet[6]!) : (packet.readUInt16BE(6) & 0x3fff) === 0;
    if (result.events.length === 0 || !isWhole(frame.subarray(at)) || !isSound(frame.subarray(at))) return true;
    mapped++;
    return isSound(result.frame.subarray(at));
  };
  fc.assert(
    fc.property(somePacket('in'), (frame) => check(frame, programs.run(frame))),
    { numRuns: runs },
  );
  fc.assert(
    fc.property(somePacket('out'), (frame) => check(frame, programs.leave(frame))),
    { numRuns: runs },
  );
  t.log(`${mapped} mapped packets`);
  t.true(mapped > runs / 10);
});

const modelRules: ModelRules = { macs: [ownMac], isSource: null, vips, onlyVips: false, guePort: 6080 };

test('60,000 random and mutated frames, both ways: reason, events and every byte as the models have them', (t) => {
  const runs = randomRuns(30_000);
  const fresh = new BackendPrograms(rules);
  t.teardown(() => fresh.close());
  const model = new PortsModel(mappings, isExempt);
  const hosts = mappings.map(({ host }) => host);
  const withPorts = mappings.map(({ vip }) => vip);
  const seen = new Map<string, number>();
  const note = (events: readonly string[]) => {
    for (const event of events) seen.set(event, (seen.get(event) ?? 0) + 1);
  };

  fc.assert(
    fc.property(mutated(somePacket('in')), (frame) => {
      const outcome = decapsulate(frame, modelRules);
      const wanted =
        outcome.vip !== null && withPorts.includes(outcome.vip)
          ? model.comeIn(outcome.frame, outcome.at)
          : { frame: outcome.frame, event: null };
      const result = fresh.run(frame);
      note(result.events);
      if (result.reason !== outcome.reason || (result.events[0] ?? null) !== wanted.event) return false;
      return outcome.verdict === 'drop' || result.frame.equals(wanted.frame);
    }),
    { numRuns: runs },
  );
  fc.assert(
    fc.property(mutated(somePacket('out')).filter(isRunnable), (frame) => {
      const found = sourceOf(frame);
      const wanted =
        found !== null && hosts.includes(found.source) ? model.leave(frame, found.at) : { frame, event: null };
      const result = fresh.leave(frame);
      note(result.events);
      return (
        result.verdict === 'go on' && (result.events[0] ?? null) === wanted.event && result.frame.equals(wanted.frame)
      );
    }),
    { numRuns: runs },
  );
  const unseen = eventNames.filter((name) => !['mss_clamped', 'dropped_out'].includes(name) && !seen.has(name));
  if (runs === 30_000) t.deepEqual(unseen, [], 'every event was reached');
  t.true(seen.size > 3);
  t.log([...seen].map(([event, count]) => `${event} ${count}`).join(', '));
});

test('frames of every kind, cut off at each byte, fare as the models say', (t) => {
  const model = new PortsModel(mappings, isExempt);
  let count = 0;
  for (const [client, vip, host] of families) {
    const request = ip(client, vip, tcp({ from: 40_000, to: 80 }, 'hello'));
    const reply = ip(host, client, tcp({ from: 8080, to: 40_000 }, 'world'));
    const quoteIn = bytesOf(ip(vip, client, tcp({ from: 80, to: 40_000 })));
    const quoteOut = bytesOf(ip(client, host, tcp({ from: 40_000, to: 8080 })));
    for (const packet of [request, icmpError(client, vip, quoteIn)]) {
      const frame = frameOf(packet);
      for (let length = 14; length <= frame.length; length++, count++) {
        const cut = Buffer.from(frame.subarray(0, length));
        const outcome = decapsulate(cut, modelRules);
        const wanted = outcome.vip === null ? cut : model.comeIn(cut, outcome.at).frame;
        t.true(programs.run(cut).frame.equals(wanted), `${length} bytes in`);
      }
    }
    for (const packet of [reply, icmpError(host, client, quoteOut)]) {
      const frame = frameOf(packet);
      for (let length = 14; length <= frame.length; length++, count++) {
        const cut = Buffer.from(frame.subarray(0, length));
        if (!isRunnable(cut)) continue;
        const found = sourceOf(cut);
        const wanted = found === null ? cut : model.leave(cut, found.at).frame;
        t.true(programs.leave(cut).frame.equals(wanted), `${length} bytes out`);
      }
    }
  }
  t.log(`${count} frames`);
});

/** For a program of tc, BPF_PROG_TEST_RUN wants the IP header to be whole that the frame promises. */
function isRunnable(frame: Buffer): boolean {
  const type = frame.readUInt16BE(12);
  return frame.length >= (type === 0x0800 ? 34 : type === 0x86dd ? 54 : 15);
}

/** Of an IP packet that is there at least with its header. */
function sourceOf(frame: Buffer): { readonly source: string; readonly at: number } | null {
  let at = 14;
  let type = frame.readUInt16BE(12);
  for (let tags = 0; tags < 2 && (type === 0x8100 || type === 0x88a8); tags++) {
    if (frame.length < at + 4) return null;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  if (frame.length > at && frame[at]! >> 4 !== (type === 0x0800 ? 4 : 6)) return null;
  if (type === 0x0800 && frame.length >= at + 20) return { source: frame.subarray(at + 12, at + 16).join('.'), at };
  if (type === 0x86dd && frame.length >= at + 40) return { source: ipText(frame.subarray(at + 8, at + 24)), at };
  return null;
}

function ipText(bytes: Buffer): string {
  return (
    [host6, vip6, client6].find((text) =>
      bytesOf(ip(text, client6, udp({ from: 1, to: 1 })))
        .subarray(8, 24)
        .equals(bytes),
    ) ?? ''
  );
}
