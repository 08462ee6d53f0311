/** The copy of the program that captures: what it hands over, and that it decides as the plain one does. */
import test from 'ava';
import { type CaptureFilter, captureFilterSize, Reason, writeCaptureFilter } from '../../src/abi/abi.generated.js';
import { ipToBytes } from '../../src/base/ip.js';
import { RingReader } from '../../src/dataplane/addon.js';
import { type CapturedPacket, parseCapturedPackets } from '../../src/events/captured-packets.js';
import { until } from '../support/lab/until.js';
import { clientOf, openWeb, vip4, type Web } from './web.js';

const everything: CaptureFilter = {
  client: new Uint8Array(16),
  clientMask: new Uint8Array(16),
  vip: new Uint8Array(16),
  vipMask: new Uint8Array(16),
  clientPort: 0,
  vipPort: 0,
  protocol: 0,
  dropsOnly: 0,
  reason: 0xffff,
  snapLength: 256,
  rate: 1_000_000,
  until: 100,
};
const whole = new Uint8Array(16).fill(0xff);

type Context = { teardown(f: () => void): void };

async function openCapture(t: Context, filter: Partial<CaptureFilter>): Promise<Capture> {
  const web = await openWeb(t, { capture: true });
  const capture = new Capture(web, t);
  capture.only(filter);
  return capture;
}

class Capture {
  readonly packets: (CapturedPacket & { readonly frame: Buffer })[] = [];
  #settled = 1000;

  constructor(
    readonly web: Web,
    t: Context,
  ) {
    const reader = new RingReader(web.lb.ownMap('captures'), {}, (records) => {
      this.packets.push(...parseCapturedPackets(records).map((one) => ({ ...one, frame: Buffer.from(one.frame) })));
    });
    t.teardown(() => reader.close());
  }

  /** From the next packet on. */
  only(filter: Partial<CaptureFilter>): void {
    const bytes = new Uint8Array(captureFilterSize);
    writeCaptureFilter(new DataView(bytes.buffer), 0, { ...everything, ...filter });
    this.web.lb.ownMap('capture_filter').update(new Uint8Array(4), bytes);
  }

  suppressed(): number {
    return Number(this.web.lb.ownMap('capture_state').sumRange(0, 1)[0]);
  }

  /** Sends a packet that is always captured, and waits until it has come. */
  async settle(): Promise<readonly CapturedPacket[]> {
    const last = this.web.frame({ client: 250, from: ++this.#settled, to: 4242 });
    this.web.lb.run(last);
    await until('what was captured', () => this.packets.some(({ frame }) => last.equals(frame)), { everyMs: 2 });
    return this.packets.filter(({ frame }) => !(frame.readUInt16BE(36) === 4242));
  }
}

test('each packet at a VIP comes as it was received, with what became of it', async (t) => {
  const capture = await openCapture(t, {});
  const { web } = capture;
  const flow = { client: 7 };
  const sent = [
    web.frame(flow, 'S'),
    web.frame({ ...flow, v6: true }),
    web.frame({ to: 9 }),
    web.frame(flow, 'A', 'x'.repeat(900)),
  ];
  for (const frame of sent) web.lb.run(frame);
  web.lb.run(Buffer.from('0200000000110200000000010806', 'hex'));
  const packets = await capture.settle();
  t.deepEqual(
    packets.map(({ reason }) => reason),
    [null, null, Reason.DROP_NO_LISTENER, null],
  );
  packets.forEach(({ frame, length }, i) => {
    t.is(length, sent[i]!.length);
    t.true(sent[i]!.subarray(0, 256).equals(frame), `packet ${i}`);
  });
  t.is(packets[0]!.service, web.lb.serviceId(vip4, 80));
  const names = [...web.lb.compiled!.backends.values()].map(({ id }) => id);
  t.true(names.includes(packets[0]!.backend));
  t.deepEqual([packets[2]!.service, packets[2]!.backend], [0, 0]);
});

test('the short way of an established session is told of, too', async (t) => {
  const capture = await openCapture(t, {});
  const { web } = capture;
  web.establish({});
  const before = await capture.settle();
  const to = web.send({});
  const packets = (await capture.settle()).slice(before.length);
  t.is(packets.length, 1);
  t.is(packets[0]!.backend, web.lb.backendId(to));
  t.is(packets[0]!.service, web.lb.serviceId(vip4, 80));
});

test('every field of the filter has to match', async (t) => {
  const address = { client: ipToBytes(clientOf(7)), clientMask: whole };
  const cases: readonly (readonly [string, Partial<CaptureFilter>, object, object])[] = [
    ['client', address, { client: 7 }, { client: 8 }],
    ['port', { clientPort: 1234 }, { from: 1234 }, { from: 1235 }],
    ['VIP', { vip: ipToBytes(vip4), vipMask: whole }, {}, { v6: true }],
    ['port of the VIP', { vipPort: 443 }, { to: 443 }, { to: 80 }],
    ['protocol', { protocol: 17 }, { udp: true }, {}],
    ['reason', { reason: Reason.DROP_NO_LISTENER }, { to: 99 }, {}],
    ['drops', { dropsOnly: 1 }, { to: 99 }, {}],
  ];
  for (const [name, filter, matching, other] of cases) {
    const capture = await openCapture(t, filter);
    const wanted = capture.web.frame(matching);
    capture.web.lb.run(capture.web.frame(other));
    capture.web.lb.run(wanted);
    await until(`a packet by its ${name}`, () => capture.packets.length > 0, { everyMs: 2 });
    t.deepEqual(
      capture.packets.map(({ frame }) => frame.length),
      [wanted.length],
      name,
    );
    t.true(wanted.equals(capture.packets[0]!.frame), name);
  }
});

test('a prefix takes the clients in it', async (t) => {
  const mask = new Uint8Array(16).fill(0xff, 0, 15);
  const capture = await openCapture(t, { client: ipToBytes('198.51.100.0'), clientMask: mask });
  for (const client of [1, 255, 256, 300]) capture.web.lb.run(capture.web.frame({ client }));
  const packets = await capture.settle();
  t.is(packets.length, 2);
});

test('frames are cut to the length asked for, and the longest is whole', async (t) => {
  for (const snapLength of [64, 67, 1518]) {
    const capture = await openCapture(t, { snapLength });
    const frame = capture.web.frame({}, 'A', 'y'.repeat(1460));
    capture.web.lb.run(frame);
    const [packet] = await capture.settle();
    t.is(packet!.length, frame.length);
    t.true(frame.subarray(0, snapLength).equals(packet!.frame), `${snapLength}`);
  }
});

test('what is above the rate is counted, not handed over', async (t) => {
  const capture = await openCapture(t, { rate: 5 });
  for (let i = 0; i < 20; i++) capture.web.lb.run(capture.web.frame({ from: 2000 + i }));
  // Each CPU has a rate of its own, and the run may have been moved.
  await until('each is captured or counted', () => capture.packets.length + capture.suppressed() >= 20, { everyMs: 2 });
  t.is(capture.packets.length + capture.suppressed(), 20);
  t.true(capture.packets.length >= 5 && capture.suppressed() > 0);
});

test('without an agent that renews it, a capture ends by itself', async (t) => {
  const capture = await openCapture(t, { until: 0xffff_fff0 });
  t.is(capture.web.send({}, 'S').slice(0, 2), 'be', 'packets are forwarded all the same');
  capture.web.lb.run(capture.web.frame({}));
  t.is(capture.suppressed(), 0);
  // The ring keeps order: whatever had been captured before would have come first.
  capture.only({});
  t.deepEqual(await capture.settle(), []);
});
