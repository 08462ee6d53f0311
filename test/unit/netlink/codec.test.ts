import test from 'ava';
import fc from 'fast-check';
import { decode } from '../../../src/netlink/decode.js';
import {
  encodeBlackhole,
  encodeLinkDump,
  encodeNeighbourDump,
  encodeNeighbourWish,
  encodeRouteDump,
  encodeRouteLookup,
  encodeRouteRemoval,
} from '../../../src/netlink/encode.js';
import { AF_INET, AF_INET6, NDA, NLM_F, NLMSG, NUD, RTA, RTM, RTN } from '../../../src/netlink/kernel.js';
import { concat, readAttributes, readU16, splitDatagram, u32Payload, writeMessage } from '../../../src/netlink/wire.js';
import { errorMessage, type FakeLink, linkMessage, message, neighbourMessage, routeMessage } from './kernel_side.js';

const ipv4 = fc.ipV4();
const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => Buffer.from(bytes).toString('hex').match(/../g)!.join(':'));
const number = fc.integer({ min: 1, max: 0x7fffffff });

test('a link comes back as it was announced, unknown attributes skipped', (t) => {
  fc.assert(
    fc.property(
      number,
      fc.stringMatching(/^[a-z0-9.@-]{1,15}$/),
      fc.option(mac),
      number,
      fc.boolean(),
      (ifindex, name, address, mtu, up) => {
        const { messages, fault } = decode(linkMessage({ ifindex, name, mac: address, mtu, up }));
        t.is(fault, null);
        t.like(messages[0], { kind: 'link', removed: false, ifindex, name, mac: address, mtu, up });
      },
    ),
  );
});

test('VLANs, bonds and their slaves come back as they were announced', (t) => {
  const base = { name: 'x', mac: '02:00:00:00:00:01', mtu: 1500, up: true };
  const decoded = (link: Partial<FakeLink>): unknown =>
    decode(linkMessage({ ...base, ifindex: 5, ...link })).messages[0];
  t.like(decoded({}), { type: null, master: null, parent: null, vlan: null, bond: null, slave: null });
  const vlan = { type: 'vlan', parent: 2, vlan: { id: 20 } };
  t.like(decoded(vlan), { type: 'vlan', parent: 2, vlan: { id: 20, protocol: 0x8100 }, bond: null, slave: null });
  t.like(decoded({ ...vlan, vlan: { id: 4094, protocol: 0x88a8 } }), { vlan: { id: 4094, protocol: 0x88a8 } });
  t.like(decoded({ ...vlan, foreignParent: true }), { parent: null }, 'an index of another namespace is none of ours');
  t.like(decoded({ type: 'veth', parent: 9, foreignParent: true }), { type: 'veth', parent: null, vlan: null });
  t.like(decoded({ type: 'bond', bond: { mode: 4 } }), { bond: { mode: 4, activeSlave: null } });
  t.like(decoded({ type: 'bond', bond: { mode: 1, activeSlave: 3 } }), { bond: { mode: 1, activeSlave: 3 } });
  t.like(decoded({ master: 9, slave: { active: true, linkUp: true } }), {
    master: 9,
    slave: { active: true, linkUp: true },
  });
  t.like(decoded({ master: 9, type: 'veth', slave: { active: false, linkUp: false } }), {
    type: 'veth',
    slave: { active: false, linkUp: false },
  });
});

test('a route comes back as it was announced: gateway of either family, source, MTU', (t) => {
  const gateway = fc.oneof(fc.constant(undefined), ipv4, fc.constant('fe80::1'));
  fc.assert(
    fc.property(
      ipv4,
      fc.integer({ min: 0, max: 32 }),
      number,
      gateway,
      fc.option(ipv4, { nil: undefined }),
      fc.option(number, { nil: undefined }),
      (destination, prefixBits, oif, via, source, mtu) => {
        const route = {
          destination,
          prefixBits,
          oif,
          ...(via !== undefined && { gateway: via }),
          ...(source !== undefined && { source }),
          ...(mtu !== undefined && { mtu }),
        };
        t.like(decode(routeMessage(route, { removed: true })).messages[0], {
          kind: 'route',
          removed: true,
          family: 4,
          destination,
          prefixBits,
          type: RTN.UNICAST,
          oif,
          gateway: via ?? null,
          preferredSource: source ?? null,
          mtu: mtu ?? null,
        });
      },
    ),
  );
});

test('a neighbour comes back as it was announced, with the flags of kernels from 5.16 on', (t) => {
  const neighbour = {
    ifindex: 7,
    address: 'fd00::7',
    mac: '02:00:00:00:00:07',
    state: NUD.STALE,
    flags: 0x10,
    extendedFlags: 1,
  };
  t.like(decode(neighbourMessage(neighbour)).messages[0], { kind: 'neighbour', removed: false, ...neighbour });
  t.like(decode(neighbourMessage({ ...neighbour, mac: null }, { removed: true })).messages[0], {
    removed: true,
    mac: null,
  });
});

test('an error carries its number and the words of the extended acknowledgement', (t) => {
  t.like(decode(errorMessage(22, 'Invalid state', { sequence: 3 })).messages[0], {
    kind: 'error',
    errno: 22,
    text: 'Invalid state',
  });
  t.like(decode(errorMessage(0, null, {})).messages[0], { kind: 'error', errno: 0, text: null });
});

test('an uncapped error skips the request that it echoes', (t) => {
  const request = encodeRouteLookup(9, '10.0.0.1');
  const error = u32Payload(-101 >>> 0);
  const words = concat([Uint8Array.of(10, 0, 1, 0), new TextEncoder().encode('nope!\0'), new Uint8Array(2)]);
  const bytes = message(NLMSG.ERROR, concat([error, request, words]), [], { flags: NLM_F.ACK_TLVS });
  t.like(decode(bytes).messages[0], { kind: 'error', errno: 101, text: 'nope!' });
});

test('several messages in a datagram are all read; a cut one is a fault, those before it stay', (t) => {
  const first = neighbourMessage({ ifindex: 1, address: '10.0.0.1', mac: null, state: 1 });
  const second = linkMessage({ ifindex: 1, name: 'eth0', mac: null, mtu: 1500, up: true });
  const datagram = concat([first, second]);
  t.is(decode(datagram).messages.length, 2);
  const cut = decode(datagram.subarray(0, datagram.length - 4));
  t.is(cut.messages.length, 1);
  t.regex(cut.fault ?? '', /claims \d+ bytes/);
});

test('an attribute longer than its message makes the message malformed, not the datagram', (t) => {
  const bytes = neighbourMessage({ ifindex: 1, address: '10.0.0.1', mac: null, state: 1 });
  new DataView(bytes.buffer).setUint16(28, 200, true);
  const { messages, fault } = decode(concat([bytes, errorMessage(0, null, {})]));
  t.is(fault, null);
  t.is(messages[0]!.kind, 'malformed');
  t.is(messages[1]!.kind, 'error');
});

test('a repeated attribute counts by its last value, as in the kernel', (t) => {
  const bytes = writeMessage({ type: 1, flags: 0, sequence: 0 }, new Uint8Array(0), [
    { type: 5, payload: Uint8Array.of(1) },
    { type: 5 | 0x8000, payload: Uint8Array.of(2) },
  ]);
  t.deepEqual(readAttributes(bytes, 16)?.get(5), Uint8Array.of(2));
});

test('requests have the layout that the kernel reads', (t) => {
  const [links] = splitDatagram(encodeLinkDump(5)).messages;
  t.like(links?.header, { type: RTM.GETLINK, flags: NLM_F.REQUEST | NLM_F.DUMP, sequence: 5 });
  t.is(links?.body.length, 16);
  t.is(splitDatagram(encodeNeighbourDump(6)).messages[0]?.header.type, RTM.GETNEIGH);

  const [lookup] = splitDatagram(encodeRouteLookup(7, 'fd00::1')).messages;
  t.deepEqual([lookup!.body[0], lookup!.body[1]], [AF_INET6, 128]);
  t.is(readAttributes(lookup!.body, 12)?.get(RTA.DST)?.length, 16);

  t.deepEqual(
    ([4, 6] as const).map((family) => splitDatagram(encodeRouteDump(1, family)).messages[0]!.body[0]),
    [AF_INET, AF_INET6],
  );
  const key = { family: 4, destination: '192.0.2.1', prefixBits: 32, table: 300, protocol: 83, metric: 7 } as const;
  const [added] = splitDatagram(encodeBlackhole(9, key)).messages;
  t.is(added!.header.flags, NLM_F.REQUEST | NLM_F.ACK | NLM_F.CREATE | NLM_F.EXCL);
  t.deepEqual([...added!.body.subarray(0, 12)], [AF_INET, 32, 0, 0, 0, 83, 0, RTN.BLACKHOLE, 0, 0, 0, 0]);
  const [removed] = splitDatagram(
    encodeRouteRemoval(9, { ...key, destination: null, prefixBits: 0, metric: 0 }),
  ).messages;
  t.deepEqual([...removed!.body.subarray(0, 12)], [AF_INET, 0, 0, 0, 0, 83, 255, RTN.UNSPEC, 0, 0, 0, 0]);
  t.deepEqual([...readAttributes(removed!.body, 12)!.keys()], [RTA.TABLE]);

  const neighbour = { ifindex: 3, address: '10.0.0.1' };
  const [manage] = splitDatagram(encodeNeighbourWish(8, neighbour, 'manage')).messages;
  t.is(manage!.header.flags, NLM_F.REQUEST | NLM_F.ACK | NLM_F.REPLACE | NLM_F.CREATE);
  t.deepEqual([manage!.body[0], manage!.body[10]], [AF_INET, 0x11]);
  t.deepEqual(readAttributes(manage!.body, 12)?.get(NDA.FLAGS_EXT), u32Payload(1));
  const [release] = splitDatagram(encodeNeighbourWish(8, neighbour, 'release')).messages;
  t.is(release!.body[10], 0x01);
  t.false(readAttributes(release!.body, 12)!.has(NDA.FLAGS_EXT));
  const [verify] = splitDatagram(encodeNeighbourWish(8, neighbour, 'verify')).messages;
  t.is(readU16(verify!.body, 8), NUD.PROBE);
});

test('random bytes never make the decoder throw', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decode(bytes);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('a good datagram with flipped bytes, cut anywhere, never makes the decoder throw', (t) => {
  const good = concat([
    linkMessage({ ifindex: 2, name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1500, up: true }),
    routeMessage({ destination: '10.0.0.0', prefixBits: 8, oif: 2, gateway: 'fe80::1', source: '10.0.0.1', mtu: 1400 }),
    neighbourMessage({ ifindex: 2, address: 'fd00::2', mac: '02:00:00:00:00:03', state: 2, extendedFlags: 1 }),
    errorMessage(22, 'words', {}),
    message(NLMSG.DONE, new Uint8Array(4), []),
  ]);
  const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(flips, fc.nat(good.length), (changes, length) => {
      const bytes = good.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      const { messages, fault } = decode(bytes);
      t.true(messages.length <= 64 && (fault === null || fault.length > 0));
    }),
    { numRuns: 3000 },
  );
});
