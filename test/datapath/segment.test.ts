/** The maximum segment size that SYNs offer, lowered where the LoadBalancer says so. */
import test, { type ExecutionContext } from 'ava';
import { lbMac } from '../support/data_path.js';
import { ethernet, type IpPacket, ip4, ip6 } from '../support/frame.js';
import { tcp } from '../support/transport.js';
import { client6Of, clientOf, openWeb, vip4, vip6, type Web, type WebOptions, webDesired } from './web.js';

const LIMIT = 1400;
const mss = (value: number): number[] => [2, 4, value >> 8, value & 0xff];
const SACK = [4, 2];
const WINDOW = [3, 3, 7];
const TIMES = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

async function clamping(t: ExecutionContext, options: WebOptions = {}, limit = LIMIT): Promise<Web> {
  const web = await openWeb(t, options);
  const desired = webDesired(options);
  const loadBalancers = desired.loadBalancers.map((one) => ({ ...one, maxSegmentSize: limit }));
  await web.set({ ...desired, loadBalancers });
  return web;
}

function syn(options: readonly number[], { v6 = false, flags = 'S', data = '' } = {}): IpPacket {
  const padded = Buffer.alloc(Math.ceil(options.length / 4) * 4);
  padded.set(options);
  const segment = tcp({ from: 40_000, to: 80, flags, options: padded }, data);
  return v6 ? ip6({ from: client6Of(1), to: vip6 }, segment) : ip4({ from: clientOf(1), to: vip4 }, segment);
}

/** The IP packet that leaves, when this one comes. */
function sent(web: Web, packet: IpPacket): Buffer {
  return web.lb.run(ethernet({ to: lbMac }, packet)).frame.subarray(14);
}

const bytesOf = (packet: IpPacket): Buffer => packet.bytes(() => new Uint8Array(0));

test('a larger offer is lowered, at an even place and at an odd one, and the checksum is right', async (t) => {
  const web = await clamping(t);
  for (const v6 of [false, true]) {
    for (const offer of [1401, 1460, 8960, 65_535]) {
      for (const shape of [
        (value: number) => mss(value),
        (value: number) => [1, ...mss(value)],
        (value: number) => [1, 1, ...mss(value), ...SACK],
        (value: number) => [...SACK, ...TIMES, ...WINDOW, ...mss(value)],
        (value: number) => [...WINDOW, ...mss(value), 0],
        (value: number) => [...Array<number>(36).fill(1), ...mss(value)],
      ]) {
        t.deepEqual(sent(web, syn(shape(offer), { v6 })), bytesOf(syn(shape(LIMIT), { v6 })));
      }
    }
  }
});

test('an offer that is not larger stays, and to none nothing is added', async (t) => {
  const web = await clamping(t);
  for (const options of [mss(1400), mss(536), mss(0), [], [...SACK, ...WINDOW], [0, ...mss(1460)]]) {
    for (const v6 of [false, true]) t.deepEqual(sent(web, syn(options, { v6 })), bytesOf(syn(options, { v6 })));
  }
});

test('only SYNs are looked at, with or without ACK and data', async (t) => {
  const web = await clamping(t);
  for (const flags of ['A', 'PA', 'FA', 'R'])
    t.deepEqual(sent(web, syn(mss(1460), { flags })), bytesOf(syn(mss(1460), { flags })), flags);
  for (const flags of ['S', 'SA'])
    t.deepEqual(
      sent(web, syn(mss(1460), { flags, data: 'early' })),
      bytesOf(syn(mss(LIMIT), { flags, data: 'early' })),
    );
});

test('a list of options that makes no sense is left alone', async (t) => {
  const web = await clamping(t);
  for (const options of [
    [2, 3, 5, 180],
    [2, 0, 5, 180],
    [3, 0, ...mss(1460)],
    [8, 40, ...mss(1460)],
    [1, 1, 1, 2],
    [1, 1, 2, 4],
    [1, 2, 4, 5],
  ])
    t.deepEqual(sent(web, syn(options)), bytesOf(syn(options)), options.join());
});

test('options that the packet ends before are not looked at', async (t) => {
  const web = await clamping(t);
  const whole = ethernet({ to: lbMac }, syn([1, 1, 1, 1, ...mss(1460)]));
  for (let cut = 1; cut <= 8; cut++) {
    const frame = Buffer.from(whole);
    frame.writeUInt16BE(frame.length - 14 - cut, 16);
    t.deepEqual(web.lb.run(frame).frame.subarray(14), frame.subarray(14), `${cut} bytes fewer`);
  }
});

test('within a tunnel, too; and a LoadBalancer that does not ask for it leaves SYNs alone', async (t) => {
  const tunnel = await clamping(t, { forwarding: 'IPIP' });
  t.deepEqual(sent(tunnel, syn(mss(1460))).subarray(20), bytesOf(syn(mss(LIMIT))));
  const off = await clamping(t, {}, 0);
  t.deepEqual(sent(off, syn(mss(65_535))), bytesOf(syn(mss(65_535))));
});
