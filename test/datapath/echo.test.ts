/** Pings of a VIP, answered by the load balancer itself. */
import test from 'ava';
import { lbMac } from '../support/data_path.js';
import { header6 } from '../support/fragments.js';
import { ethernet, type IpPacket, ip4, ip6, routerMac, type VlanTag, vlan } from '../support/frame.js';
import { icmp4, icmp6 } from '../support/transport.js';
import { answeredFor, endsFor } from './ends.js';
import { client6Of, clientOf, openWeb, vip4, vip6, webDesired } from './web.js';

const from4 = clientOf(1);
const from6 = client6Of(1);
const data = Buffer.from('0001002a5068656f6e69782070696e67732074686520564950', 'hex');

const arriving = (...rest: [...VlanTag[], IpPacket]): Buffer => ethernet({ to: lbMac, from: routerMac }, ...rest);
const leaving = (...rest: [...VlanTag[], IpPacket]): Buffer => ethernet({ to: routerMac, from: lbMac }, ...rest);

test('an echo request comes back as a reply: identification, DF and TOS as they came, TTL 64, checksums right', async (t) => {
  const lb = await openWeb(t);
  for (const fields of [{ tos: 0xb8, id: 0xbeef, fragment: 0 }, { fragment: 0x4000 }, { ttl: 1 }, { ttl: 255 }]) {
    const request = arriving(ip4({ from: from4, to: vip4, ...fields }, icmp4(8, 0, data)));
    const reply = leaving(ip4({ from: vip4, to: from4, ...fields, ttl: 64 }, icmp4(0, 0, data)));
    t.deepEqual(answeredFor(t, lb, request, 'ANSWER_ECHO'), reply);
  }
  for (const fields of [{ trafficClass: 0xb8, flowLabel: 0x12345 }, { hopLimit: 1 }]) {
    const request = arriving(ip6({ from: from6, to: vip6, ...fields }, icmp6(128, 0, data)));
    const reply = leaving(ip6({ from: vip6, to: from6, ...fields, hopLimit: 64 }, icmp6(129, 0, data)));
    t.deepEqual(answeredFor(t, lb, request, 'ANSWER_ECHO'), reply);
  }
});

test('tags and what Ethernet padded come back, too', async (t) => {
  const lb = await openWeb(t);
  const padding = Buffer.alloc(9, 0xaa);
  for (const tags of [[], [vlan(100, { priority: 5 })], [vlan(7, { tpid: 0x88a8 }), vlan(100)]]) {
    const out = answeredFor(
      t,
      lb,
      Buffer.concat([arriving(...tags, ip4({ from: from4, to: vip4 }, icmp4(8, 0, data))), padding]),
      'ANSWER_ECHO',
    );
    t.deepEqual(out, Buffer.concat([leaving(...tags, ip4({ from: vip4, to: from4 }, icmp4(0, 0, data))), padding]));
  }
});

test('every checksum comes out right, whatever it was of', async (t) => {
  const lb = await openWeb(t, { allowances: { echoes: 10_000 } });
  for (let word = 0; word < 0x1_0000; word += 97) {
    const varied = Buffer.alloc(6);
    varied.writeUInt16BE(word, 2);
    const out = answeredFor(t, lb, arriving(ip4({ from: from4, to: vip4 }, icmp4(8, 0, varied))), 'ANSWER_ECHO');
    const reply = leaving(ip4({ from: vip4, to: from4 }, icmp4(0, 0, varied)));
    /* 0 and 0xffff are the same sum; of a message of zeros only 0xffff is right. */
    if (word === 0) t.is(out.readUInt16BE(36), 0xffff);
    else t.deepEqual(out, reply, `${word}`);
  }
});

test('a checksum that was wrong stays wrong, so that the client sees it', async (t) => {
  const lb = await openWeb(t);
  const request = arriving(ip4({ from: from4, to: vip4 }, icmp4(8, 0, data)));
  request.writeUInt16BE(request.readUInt16BE(36) + 9, 36);
  const out = answeredFor(t, lb, request, 'ANSWER_ECHO');
  const reply = leaving(ip4({ from: vip4, to: from4 }, icmp4(0, 0, data)));
  t.is(out.readUInt16BE(36), reply.readUInt16BE(36) + 9);
});

test('a VIP without listeners answers, an address that is no VIP does not', async (t) => {
  const lb = await openWeb(t);
  const desired = webDesired();
  await lb.set({ ...desired, loadBalancers: [{ ...desired.loadBalancers[0]!, listeners: [] }] });
  const request = arriving(ip4({ from: from4, to: vip4 }, icmp4(8, 0, data)));
  t.deepEqual(answeredFor(t, lb, request, 'ANSWER_ECHO'), leaving(ip4({ from: vip4, to: from4 }, icmp4(0, 0, data))));
  endsFor(t, lb, arriving(ip4({ from: from4, to: '192.0.2.99' }, icmp4(8, 0, data))), 'PASS_NOT_VIP');
});

test('so many in a tick, then no more until the next; 0 is never', async (t) => {
  const lb = await openWeb(t, { allowances: { echoes: 3 } });
  const request = arriving(ip4({ from: from4, to: vip4 }, icmp4(8, 0, data)));
  const request6 = arriving(ip6({ from: from6, to: vip6 }, icmp6(128, 0, data)));
  for (let tick = 0; tick < 3; tick++) {
    for (let n = 0; n < 2; n++) answeredFor(t, lb, request, 'ANSWER_ECHO');
    answeredFor(t, lb, request6, 'ANSWER_ECHO');
    for (let n = 0; n < 5; n++) endsFor(t, lb, request, 'DROP_ECHO_RATE');
    lb.lb.pass(1);
  }
  const never = await openWeb(t, { allowances: { echoes: 0 } });
  endsFor(t, never, request, 'DROP_ICMP');
});

test('what is no single host gets no answer', async (t) => {
  const lb = await openWeb(t);
  for (const from of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255'])
    endsFor(t, lb, arriving(ip4({ from, to: vip4 }, icmp4(8, 0, data))), 'DROP_ICMP', from);
  for (const from of ['::', '::1', 'ff02::1'])
    endsFor(t, lb, arriving(ip6({ from, to: vip6 }, icmp6(128, 0, data))), 'DROP_ICMP', from);
});

test('options, extension headers and fragments get no answer', async (t) => {
  const lb = await openWeb(t);
  const options = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
  endsFor(t, lb, arriving(ip4({ from: from4, to: vip4, options }, icmp4(8, 0, data))), 'DROP_ICMP');
  endsFor(t, lb, arriving(ip4({ from: from4, to: vip4, fragment: 0x2000 }, icmp4(8, 0, data))), 'DROP_ICMP');
  endsFor(t, lb, arriving(ip4({ from: from4, to: vip4, fragment: 10 }, icmp4(8, 0, data))), 'DROP_ICMP');
  endsFor(t, lb, arriving(ip6({ from: from6, to: vip6 }, header6(60, icmp6(128, 0, data)))), 'DROP_ICMP');
});

test('a request cut off before its eighth byte is malformed', async (t) => {
  const lb = await openWeb(t);
  for (let length = 0; length < 4; length++)
    endsFor(t, lb, arriving(ip4({ from: from4, to: vip4 }, icmp4(8, 0, data.subarray(0, length)))), 'DROP_MALFORMED');
});
