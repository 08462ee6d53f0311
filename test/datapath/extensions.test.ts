/** IPv6 extension headers: those within bounds are walked, the rest is refused. */
import test from 'ava';
import { lbMac } from '../support/data_path.js';
import { header6 } from '../support/fragments.js';
import { ethernet, ip6, type Payload } from '../support/frame.js';
import { raw, tcp } from '../support/transport.js';
import { endsFor } from './ends.js';
import { client6Of, openWeb, vip6 } from './web.js';

const segment = tcp({ from: 40_000, to: 80, flags: 'A' }, 'hello');
const to6 = (payload: Payload): Buffer => ethernet({ to: lbMac }, ip6({ from: client6Of(1), to: vip6 }, payload));
const routing = (type: number, segmentsLeft: number): Payload =>
  header6(43, segment, Uint8Array.of(type, segmentsLeft, 0, 0, 0, 0));
const nested = (count: number, payload: Payload = segment): Payload =>
  Array.from({ length: count }).reduce<Payload>((inner) => header6(60, inner), payload);

test('a flow is the same flow, whatever headers its packets have', async (t) => {
  const web = await openWeb(t);
  const backend = web.establish({ v6: true });
  const shapes = [
    header6(0, segment),
    header6(60, segment),
    header6(51, segment, new Uint8Array(22)),
    header6(0, header6(60, routing(2, 0))),
    nested(6),
  ];
  for (const payload of shapes) {
    const { verdict, frame } = web.lb.run(to6(payload));
    t.is(verdict, 'TX');
    t.is(web.backendOf(frame), backend);
  }
  t.is(web.lb.tableEvents()['TABLE_INSERTED'], 1);
});

test('a seventh header, or the byte after the 256th, is beyond the bounds', async (t) => {
  const web = await openWeb(t);
  endsFor(t, web, to6(nested(7)), 'DROP_EXTENSION');
  t.is(web.lb.run(to6(header6(60, segment, new Uint8Array(254)))).verdict, 'TX');
  endsFor(t, web, to6(header6(60, segment, new Uint8Array(262))), 'DROP_EXTENSION');
  endsFor(t, web, to6(header6(0, header6(60, segment, new Uint8Array(254)))), 'DROP_EXTENSION');
});

test('routing headers: type 0 is refused (RFC 5095), and what still has somewhere to go is not for the VIP', async (t) => {
  const web = await openWeb(t);
  endsFor(t, web, to6(routing(0, 0)), 'DROP_EXTENSION');
  endsFor(t, web, to6(routing(0, 1)), 'DROP_EXTENSION');
  endsFor(t, web, to6(routing(4, 1)), 'DROP_EXTENSION');
  t.is(web.lb.run(to6(routing(4, 0))).verdict, 'TX');
});

test('hop-by-hop options stand first or nowhere', async (t) => {
  const web = await openWeb(t);
  endsFor(t, web, to6(header6(60, header6(0, segment))), 'DROP_EXTENSION');
  endsFor(t, web, to6(header6(0, header6(0, segment))), 'DROP_EXTENSION');
});

test('no next header, ESP and what else is no transport', async (t) => {
  const web = await openWeb(t);
  for (const protocol of [50, 59, 132, 135])
    endsFor(t, web, to6(header6(60, raw(protocol, 'data'))), 'DROP_PROTOCOL', `${protocol}`);
});

test('a header that reaches beyond the packet, or is cut off, is malformed', async (t) => {
  const web = await openWeb(t);
  const frame = to6(header6(0, header6(60, segment)));
  for (let length = 54; length < frame.length; length++)
    endsFor(t, web, frame.subarray(0, length), 'DROP_MALFORMED', `${length} of ${frame.length} bytes`);
  for (let payloadLength = 0; payloadLength < frame.length - 54; payloadLength++) {
    const short = Buffer.from(frame);
    short.writeUInt16BE(payloadLength, 18);
    /* The data may be cut off: then it is a shorter packet. */
    if (payloadLength < 36) endsFor(t, web, short, 'DROP_MALFORMED', `payload length ${payloadLength}`);
    else t.is(web.lb.run(short).verdict, 'TX');
  }
  const long = Buffer.from(frame);
  long[55] = 20;
  endsFor(t, web, long, 'DROP_MALFORMED');
});
