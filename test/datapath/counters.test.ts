/** What is counted for whom, and what is told of drops. */
import test from 'ava';
import { EventKind, Reason, readDropEvent } from '../../src/abi/abi.generated.js';
import { bytesToIp } from '../../src/base/ip.js';
import { RingReader } from '../../src/dataplane/addon.js';
import { until } from '../support/lab/until.js';
import { openWeb, vip4, vip6, type Web } from './web.js';

const traffic = ({ lb }: Web): { service: (id: number) => number[]; backend: (id: number) => number[] } => {
  const services = lb.counters.services(63);
  const backends = lb.counters.backends(63);
  const numbers = (count: ReturnType<typeof services>): number[] =>
    [count.packets, count.bytes, count.sessions, count.noSession].map(Number);
  return { service: (id) => numbers(services(id)), backend: (id) => numbers(backends(id)) };
};

test('packets, bytes, new sessions and packets without one, for each listener and backend', async (t) => {
  const web = await openWeb(t, { weights: [100] });
  const bytes = web.frame({}).length;
  for (const flags of ['S', 'A', 'A', 'A', 'FA']) web.send({}, flags);
  const { service, backend } = traffic(web);
  t.deepEqual(service(web.lb.serviceId(vip4, 80)), [5, 5 * bytes, 1, 1]);
  t.deepEqual(backend(web.lb.backendId('be1')), [5, 5 * bytes, 1, 1]);
  t.deepEqual(service(web.lb.serviceId(vip4, 443)), [0, 0, 0, 0]);
});

test('listeners on v4 and v6, TCP and UDP are counted apart', async (t) => {
  const web = await openWeb(t, { weights: [100] });
  const v6 = { v6: true };
  const dns = { udp: true };
  web.send(v6);
  for (let i = 0; i < 3; i++) web.send(dns);
  const { service, backend } = traffic(web);
  t.deepEqual(service(web.lb.serviceId(vip6, 80)), [1, web.frame(v6).length, 1, 0]);
  t.deepEqual(service(web.lb.serviceId(vip4, 53, 17)), [3, 3 * web.frame(dns).length, 1, 0]);
  t.deepEqual(backend(web.lb.backendId('be1')), [4, web.frame(v6).length + 3 * web.frame(dns).length, 2, 0]);
});

test('what is dropped is counted for no backend', async (t) => {
  const web = await openWeb(t, { weights: [0] });
  web.send({}, 'S');
  const { service, backend } = traffic(web);
  t.deepEqual(service(web.lb.serviceId(vip4, 80)), [0, 0, 0, 0]);
  t.deepEqual(backend(web.lb.backendId('be1')), [0, 0, 0, 0]);
});

test('a number that is given out again counts from zero', async (t) => {
  const web = await openWeb(t, { weights: [100] });
  web.establish({});
  web.lb.counters.resetBackend(web.lb.backendId('be1'));
  web.lb.counters.resetService(web.lb.serviceId(vip4, 80));
  const { service, backend } = traffic(web);
  t.deepEqual(service(web.lb.serviceId(vip4, 80)), [0, 0, 0, 0]);
  t.deepEqual(backend(web.lb.backendId('be1')), [0, 0, 0, 0]);
});

test('the first drop of a reason in a tick is shown, with the flow that it hit; of passes none', async (t) => {
  const web = await openWeb(t, { clock: 'real' });
  const events: Uint8Array[] = [];
  const reader = new RingReader(web.lb.maps.events, {}, (records, count) => {
    let at = 0;
    for (let i = 0; i < count; i++) {
      const length = new DataView(records.buffer, records.byteOffset).getUint32(at, true);
      events.push(records.slice(at + 4, at + 4 + length));
      at += 4 + Math.ceil(length / 8) * 8;
    }
  });
  t.teardown(() => reader.close());
  const before = web.lb.clock.now();
  for (let i = 0; i < 50; i++) {
    web.send({ client: 9, from: 5555, to: 81 });
    web.send({ client: 9, v6: true, udp: true, from: 6666, to: 99 });
    web.lb.run(Buffer.from('0200000000110200000000010806', 'hex'));
  }
  const icmp = web.frame({ client: 7 });
  icmp[23] = 1;
  web.lb.run(icmp);
  const ticks = ((web.lb.clock.now() - before) & 0xff_ffff) + 1;
  await until('the last drop', () => events.some((event) => event[2] === Reason.DROP_ICMP), { everyMs: 5 });
  const shown = events.map((event) => readDropEvent(new DataView(event.buffer, event.byteOffset), 0));
  const listenerless = shown.filter(({ reason }) => reason === Reason.DROP_NO_LISTENER);
  /* One each tick and CPU; the run may have been moved from one CPU to another. */
  t.true(listenerless.length >= 1 && listenerless.length <= 2 * ticks, `${listenerless.length} in ${ticks} ticks`);
  const { source, destination, tick, frame, captured, ...first } = listenerless[0]!;
  t.is(
    Buffer.from(frame.subarray(0, captured)).toString('hex'),
    web.frame({ client: 9, from: 5555, to: 81 }).subarray(0, 128).toString('hex'),
  );
  t.is(bytesToIp(source), '198.51.100.9');
  t.is(bytesToIp(destination), vip4);
  t.true(((tick - before) & 0xff_ffff) < ticks);
  t.deepEqual(first, {
    kind: EventKind.EVENT_DROP,
    reason: Reason.DROP_NO_LISTENER,
    sourcePort: 5555,
    destinationPort: 81,
    protocol: 6,
    length: web.frame({}).length,
  });
  const echo = shown.find(({ reason }) => reason === Reason.DROP_ICMP)!;
  t.deepEqual([echo.sourcePort, echo.destinationPort, echo.protocol], [0, 0, 1], 'ports are not known');
  t.true(shown.every(({ reason }) => reason >= Reason.DROP_NO_LISTENER));
});

test('ticks are jiffies: a session of now has been idle for none', async (t) => {
  const web = await openWeb(t, { clock: 'real' });
  const before = web.lb.clock.now();
  web.send({});
  const elapsed = (web.lb.clock.now() - before) & 0xff_ffff;
  const { idleTicks, detail } = web.session({})!;
  t.true(idleTicks <= elapsed + 1 && detail!.ageTicks <= elapsed + 1);
});
