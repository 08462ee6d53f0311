/** The backends' program beside its model, on frames of chance. */
import test from 'ava';
import fc from 'fast-check';
import { DecapReason } from '../../src/abi/abi.generated.js';
import type { Ip } from '../../src/base/ip.js';
import { lbs, programs, strict, vips } from './decap_bed.js';
import {
  checksum,
  ethernet,
  type GueKind,
  gue,
  gueKinds,
  inner,
  isInner6,
  isOuter6,
  type Kind,
  kinds,
  outer,
  ownMac,
} from './decap_frames.js';
import { decapsulate, type ModelRules } from './decap_model.js';
import { randomRuns } from './decap_program.js';

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
