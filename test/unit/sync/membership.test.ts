import test from 'ava';
import * as fc from 'fast-check';
import type { NodeReport } from '../../../src/cluster/types.js';
import { Membership } from '../../../src/sync/membership.js';
import type { PeerState } from '../../../src/sync/peer_book.js';
import { decodeControl, encodeControl, nodeId } from '../../../src/sync/wire.js';
import { holds } from '../../support/holds.js';
import { Random } from '../../support/random.js';
import { Hub } from '../../support/sync/hub.js';
import { SimClock } from '../../support/sync/sim_clock.js';

const report: NodeReport = {
  name: 'lb1',
  zone: 'a',
  life: 'active',
  version: '1.0.0',
  configVersion: 1n,
  configDigest: 7n,
  flowKeyDigest: 99n,
  sessions: 10,
  announced: 2,
  suspect: false,
  startedAtMs: 1_790_000_000_000,
};

class World {
  readonly clock = new SimClock();
  readonly hub = new Hub(this.clock);
  #seed = 0;

  node(name: string, { address, boot, ...fields }: { address: string; boot: bigint } & Partial<NodeReport>) {
    const changes: number[] = [];
    const compared: string[] = [];
    let membership: Membership | null = null;
    const engine = this.hub.engine({ address, node: nodeId(name), boot }, (control) => membership!.take(control));
    membership = new Membership({
      ...{ name, node: nodeId(name), boot, clock: this.clock, engine },
      random: (count) => new Uint8Array(count).fill(++this.#seed),
      report: { ...report, name, ...fields },
      transferPort: () => 4000,
      onChange: () => changes.push(this.clock.monotonicMs()),
      onGone: () => {},
      onCompare: (peer: PeerState) => compared.push(peer.name),
    });
    const { clock } = this;
    const members = membership;
    const peers = () => members.book.describe({ nowMs: clock.monotonicMs(), wallMs: clock.wallMs(), counts: [] });
    return {
      members,
      engine,
      changes,
      compared,
      peers,
      alive: () => peers().flatMap((peer) => (peer.alive ? [peer.name] : [])),
    };
  }
}

test('nodes admit each other within a round of messages, and know what the other says of itself', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n, zone: 'b', sessions: 5 });
  await world.clock.advance(300);
  t.deepEqual(a.alive(), ['lb2']);
  t.deepEqual(b.alive(), ['lb1']);
  t.is(a.engine.admitted.get(nodeId('lb2')), 200n);
  t.like(a.peers()[0], { zone: 'b', sessions: 5, address: '10.0.0.2', bootId: 200n, life: 'active', verdicts: null });
});

test('a node that begins later is admitted within milliseconds of its first beacon', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  await world.clock.advance(1000);
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(5);
  t.true(a.engine.admitted.has(nodeId('lb2')));
  await world.clock.advance(250);
  t.true(b.engine.admitted.has(nodeId('lb1')));
  t.deepEqual(a.compared, ['lb2']);
});

test('recorded datagrams of a node that is gone admit nobody', async (t) => {
  const world = new World();
  const ghost = world.node('lb9', { address: '10.0.0.9', boot: 50n });
  const witness = world.node('lb8', { address: '10.0.0.8', boot: 60n });
  await world.clock.advance(2000);
  const recorded = world.hub.seen.filter(({ node }) => node === nodeId('lb9'));
  t.true(recorded.length > 5);
  for (const one of [ghost, witness]) {
    one.engine.leave();
    one.members.close();
  }
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  for (const datagram of recorded) {
    world.hub.send({ ...datagram, from: '10.0.0.66', to: null });
    await world.clock.advance(10);
  }
  t.deepEqual(a.peers(), []);
  t.is(a.engine.admitted.size, 0);
});

test('a node is dead after a second or so of silence, at once when it says goodbye, and is compared with when it is back', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  const c = world.node('lb3', { address: '10.0.0.3', boot: 300n });
  await world.clock.advance(500);
  world.hub.drops = ({ from }) => from === '10.0.0.2';
  await world.clock.advance(800);
  t.deepEqual(a.alive(), ['lb2', 'lb3']);
  await world.clock.advance(700);
  t.deepEqual(a.alive(), ['lb3']);
  c.members.close();
  await world.clock.advance(1);
  t.deepEqual(a.alive(), []);
  a.compared.length = 0;
  world.hub.drops = () => false;
  await world.clock.advance(300);
  t.deepEqual(a.alive(), ['lb2']);
  t.deepEqual(a.compared, ['lb2']);
  t.truthy(b);
});

test('half of the datagrams lost: nodes are admitted all the same', async (t) => {
  const world = new World();
  const random = new Random(7);
  world.hub.drops = () => random.chance(0.5);
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(5000);
  t.true(a.engine.admitted.has(nodeId('lb2')));
  t.true(b.engine.admitted.has(nodeId('lb1')));
});

test('a restarted agent replaces its earlier start, and an older start that is gone does not come back', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const old = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(500);
  old.members.close();
  old.engine.leave();
  world.node('lb2', { address: '10.0.0.2', boot: 201n });
  await world.clock.advance(5);
  t.is(a.engine.admitted.get(nodeId('lb2')), 201n);
  t.deepEqual(a.members.problems(), []);
});

test('a start with a lower number is admitted once the one with the higher is silent: its clock and state were lost', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const old = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(500);
  old.engine.leave();
  world.node('lb2', { address: '10.0.0.2', boot: 150n });
  await world.clock.advance(20_000);
  t.is(a.engine.admitted.get(nodeId('lb2')), 200n);
  await world.clock.advance(15_000);
  t.is(a.engine.admitted.get(nodeId('lb2')), 150n);
  t.deepEqual(a.alive(), ['lb2']);
});

test('two agents of one name: both of them say so', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const twins = [
    world.node('lb2', { address: '10.0.0.2', boot: 200n }),
    world.node('lb2', { address: '10.0.0.3', boot: 300n }),
  ];
  await world.clock.advance(3000);
  const said = twins.map(({ members }) => members.problems().join('\n'));
  t.regex(
    said[0]!,
    /another agent, at 10\.0\.0\.3, runs as node "lb2" like this one: give one of them another node\.name/,
  );
  t.regex(said[1]!, /another agent, at 10\.0\.0\.2/);
  t.is(a.engine.admitted.get(nodeId('lb2')), 300n);
});

test('after a long silence a node has to show anew that it is there: what was recorded does not bring it back', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(2000);
  const recorded = world.hub.seen.filter(({ node }) => node === nodeId('lb2'));
  world.hub.drops = ({ from }) => from === '10.0.0.2';
  await world.clock.advance(40_000);
  t.is(a.engine.admitted.size, 0);
  for (const datagram of recorded) world.hub.send({ ...datagram, from: '10.0.0.66', to: null });
  await world.clock.advance(100);
  t.deepEqual(a.alive(), []);
  world.hub.drops = () => false;
  await world.clock.advance(300);
  t.deepEqual(a.alive(), ['lb2']);
  t.is(a.engine.admitted.get(nodeId('lb2')), 200n);
  t.truthy(b);
});

test('a node with another flow key is shown, named as a problem, and none of its records are taken until that is mended', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n, flowKeyDigest: 5n });
  await world.clock.advance(500);
  t.deepEqual(a.alive(), ['lb2']);
  t.is(a.engine.admitted.size, 0);
  t.deepEqual(a.compared, []);
  t.regex(a.members.problems().join('\n'), /node "lb2" marks flows by another key.*clusterSecretFile/);
  b.members.setReport({ ...report, name: 'lb2', flowKeyDigest: 99n });
  await world.clock.advance(300);
  t.is(a.engine.admitted.get(nodeId('lb2')), 200n);
  t.deepEqual(a.members.problems(), []);
});

test('a node whose wire versions do not overlap with this one is refused in words', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const node = nodeId('lb2');
  const beacon = { ...{ name: 'lb2', version: '3.0.0', flowKeyDigest: 99n }, oldestWire: 2, newestWire: 3 };
  world.hub.engine({ address: '10.0.0.2', node, boot: 5n }, ({ body }) => {
    const challenge = decodeControl(body)?.challenge;
    if (challenge) send({ answer: { nonce: challenge.nonce } });
  });
  const send = (message: Parameters<typeof encodeControl>[0]) =>
    world.hub.send({ node, boot: 5n, from: '10.0.0.2', to: '10.0.0.1', body: encodeControl(message) });
  for (let i = 0; i < 3; i++) {
    send({ beacon });
    await world.clock.advance(100);
  }
  t.regex(
    a.members.problems().join('\n'),
    /"lb2" \(3\.0\.0\) speaks versions 2 to 3.*this one 1 to 1: upgrade one step at a time/,
  );
  t.is(a.engine.admitted.size, 0);
});

test('a change of the report is said at once, not with the next beacon', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n, life: 'joining' });
  await world.clock.advance(510);
  a.compared.length = 0;
  b.members.setReport({ ...report, name: 'lb2' });
  await world.clock.advance(25);
  t.is(a.peers()[0]!.life, 'active');
  t.deepEqual(a.compared, ['lb2']);
});

test('announcements left out make peers compare: once for many within a second, and none is forgotten', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(500);
  a.compared.length = 0;
  for (let i = 0; i < 50; i++) {
    b.members.resync();
    await world.clock.advance(10);
  }
  t.is(a.compared.length, 1);
  await world.clock.advance(2000);
  t.is(a.compared.length, 2);
});

test('verdicts come to every peer, to those that begin later, too, and are no opinion any more when they are not said again', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  const unhealthy = new Set(Array.from({ length: 1000 }, (_, i) => BigInt(i) << 33n));
  a.members.setVerdicts({ configDigest: 7n, unhealthy, unknown: new Set([3n]) });
  await world.clock.advance(1000);
  const b = world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(200);
  t.deepEqual(b.peers()[0]!.verdicts, { configDigest: 7n, unhealthy, unknown: new Set([3n]) });
  a.members.setVerdicts({ configDigest: 8n, unhealthy: new Set(), unknown: new Set() });
  await world.clock.advance(20);
  t.deepEqual(b.peers()[0]!.verdicts, { configDigest: 8n, unhealthy: new Set(), unknown: new Set() });
  await world.clock.advance(20_000);
  t.truthy(b.peers()[0]!.verdicts);
  world.hub.drops = ({ body }) => decodeControl(body)?.verdicts !== undefined;
  await world.clock.advance(11_000);
  t.is(b.peers()[0]!.verdicts, null);
});

const said = (): fc.Arbitrary<Uint8Array> => {
  const big = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const small = fc.integer({ min: 0, max: 0xffff_ffff });
  const ids = fc.array(big, { maxLength: 20 });
  return fc
    .oneof(
      fc.record({
        beacon: fc.record({
          name: fc.string(),
          life: fc.integer({ min: 0, max: 9 }),
          flowKeyDigest: big,
          sessions: big,
          resync: big,
          transferPort: small,
          oldestWire: small,
          newestWire: small,
          sentAtUs: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        }),
      }),
      fc.record({
        verdicts: fc.record({
          configDigest: big,
          edition: big,
          page: small,
          pages: small,
          unhealthy: ids,
          unknown: ids,
        }),
      }),
      fc.record({ challenge: fc.record({ nonce: big, bootId: fc.oneof(big, fc.constant(100n)) }) }),
      fc.record({ answer: fc.record({ nonce: big }) }),
      fc.constant({ goodbye: {} }),
    )
    .map((message) => encodeControl(message as never));
};

test('whatever genuine datagrams say, in whatever order, nothing throws, nobody unproved is let in, and little is remembered', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  await world.clock.advance(10);
  const bodies = fc.oneof(fc.uint8Array({ maxLength: 200 }), said());
  const senders = fc.record({
    node: fc.oneof(fc.nat(400), fc.constant(nodeId('lb1'))),
    boot: fc.bigInt({ min: 0n, max: 9n }),
  });
  holds(
    fc.property(fc.array(fc.tuple(senders, bodies), { maxLength: 50 }), (datagrams) => {
      for (const [sender, body] of datagrams) {
        a.members.take({ ...sender, admitted: false, from: { address: '10.0.0.99', port: 1 }, body });
      }
    }),
    { numRuns: 300 },
  );
  await world.clock.advance(5000);
  t.is(a.engine.admitted.size, 0);
  t.deepEqual(a.peers(), []);
  t.deepEqual(a.members.problems(), []);
});

test('a node that stood still for a while takes nobody for dead: it was not there to hear', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(1000);
  const before = a.changes.length;
  // No beacon is read before the first look: those that come are lost for now.
  world.hub.drops = () => true;
  world.clock.stall(60_000);
  await world.clock.advance(300);
  t.deepEqual(a.alive(), ['lb2']);
  world.hub.drops = () => false;
  await world.clock.advance(500);
  t.deepEqual(a.alive(), ['lb2']);
  t.is(a.changes.length, before);
  world.hub.drops = () => true;
  await world.clock.advance(1500);
  t.deepEqual(a.alive(), [], 'who is silent while it listens is dead');
});

test('a peer that has proved itself may say anything', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  world.node('lb2', { address: '10.0.0.2', boot: 200n });
  await world.clock.advance(500);
  const sender = { node: nodeId('lb2'), boot: 200n, admitted: true, from: { address: '10.0.0.2', port: 1 } };
  holds(
    fc.property(fc.array(said(), { maxLength: 30 }), (bodies) => {
      for (const body of bodies) a.members.take({ ...sender, body });
      t.true(a.peers().length <= 1);
      t.true(a.members.problems().every((text) => text.length > 0));
    }),
    { numRuns: 300 },
  );
  world.hub.drops = () => false;
  await world.clock.advance(1000);
  t.deepEqual(a.alive(), ['lb2']);
  t.is(a.engine.admitted.get(nodeId('lb2')), 200n);
});

test('what is no message of ours is ignored', async (t) => {
  const world = new World();
  const a = world.node('lb1', { address: '10.0.0.1', boot: 100n });
  for (const body of [new Uint8Array(0), Buffer.from('no message at all'), new Uint8Array(1200).fill(255)]) {
    a.members.take({ node: 5, boot: 5n, admitted: false, from: { address: '10.0.0.5', port: 1 }, body });
  }
  t.deepEqual(a.peers(), []);
});
