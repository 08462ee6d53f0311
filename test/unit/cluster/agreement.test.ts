/** What nodes say of one check, what follows, and who is suspect. */
import test from 'ava';
import * as fc from 'fast-check';
import { isSuspect, standingOf, type Voter } from '../../../src/cluster/agreement.js';
import type { HealthState } from '../../../src/health/types.js';
import { holds } from '../../support/holds.js';

const id = 1n;

/** `wants` the check: otherwise it has none such, or not yet. */
function voter(state: HealthState, wants = true): Voter {
  return {
    has: () => wants,
    unhealthy: new Set(state === 'unhealthy' ? [id] : []),
    unknown: new Set(state === 'unknown' ? [id] : []),
  };
}

const say = (own: HealthState, ...others: readonly HealthState[]) => ({
  own,
  peers: others.map((state) => voter(state)),
});

const [up, down, none] = ['healthy', 'unhealthy', 'unknown'] as const;

const table: readonly (readonly [own: HealthState, others: readonly HealthState[], majority: HealthState])[] = [
  [down, [], down],
  [up, [], up],
  [none, [], none],
  [down, [up], up],
  [down, [down], down],
  [down, [none], down],
  [none, [down], down],
  [none, [up], up],
  [none, [up, down], up],
  [down, [up, up], up],
  [up, [down, down], down],
  [down, [down, up], down],
  [down, [down, up, up], up],
  [down, [down, down, up], down],
];

for (const [own, others, expected] of table) {
  test(`${own} here, ${others.join(', ') || 'nobody'} there: ${expected}`, (t) => {
    t.is(standingOf(id, say(own, ...others), 'majority').state, expected);
  });
}

test('a quorum of 2: two suffice among five, and one alone where no other has an opinion', (t) => {
  t.is(standingOf(id, say(down, down, up, up, up), 2).state, down);
  t.is(standingOf(id, say(down, up, up, up, up), 2).state, up);
  t.is(standingOf(id, say(down, up), 2).state, up);
  t.is(standingOf(id, say(down, none), 2).state, down);
});

test("a quorum of 1: this node's word, and the others' while it has none", (t) => {
  t.is(standingOf(id, say(down, up, up), 1).state, down);
  t.is(standingOf(id, say(up, down, down), 1).state, up);
  t.is(standingOf(id, say(none, down, down, up), 1).state, down);
});

test('a peer that wants something else votes by what it names as unhealthy alone', (t) => {
  const peers = [voter(up, false), voter(up, false)];
  t.deepEqual(standingOf(id, { own: down, peers }, 'majority'), {
    state: down,
    healthy: 0,
    unhealthy: 1,
  });
  const named = [voter(down, false), voter(down, false)];
  t.is(standingOf(id, { own: up, peers: named }, 'majority').state, down);
});

const state = fc.constantFrom<HealthState>(up, down, none);
const anyPeer = fc.record({ state, same: fc.boolean() }).map((one) => voter(one.state, one.same));
const anyQuorum = fc.oneof(fc.constant('majority' as const), fc.integer({ min: 1, max: 5 }));
const anyPeers = fc.array(anyPeer, { maxLength: 6 });

test('no order of peers, and no peer without an opinion, changes anything', (t) => {
  holds(
    fc.property(state, anyPeers, anyQuorum, fc.infiniteStream(fc.nat()), (own, peers, quorum, order) => {
      const standing = standingOf(id, { own, peers }, quorum);
      const shuffled = peers
        .map((peer) => ({ peer, at: order.next().value as number }))
        .sort((a, b) => a.at - b.at)
        .map(({ peer }) => peer);
      t.deepEqual(standingOf(id, { own, peers: shuffled }, quorum), standing);
      const more = [...peers, voter(none), voter(up, false), voter(none, false)];
      t.deepEqual(standingOf(id, { own, peers: more }, quorum), standing);
    }),
  );
});

test('without a quorum nobody is taken out; where nobody says unhealthy nobody is either', (t) => {
  holds(
    fc.property(state, anyPeers, anyQuorum, (own, peers, quorum) => {
      const { state: result, healthy, unhealthy } = standingOf(id, { own, peers }, quorum);
      if (healthy + unhealthy === 0) t.is(result, none);
      if (healthy + unhealthy > 0) t.not(result, none, 'whoever has an opinion decides');
      if (result === down) t.true(unhealthy > 0);
      if (quorum === 'majority') t.is(result === down, unhealthy > healthy);
      else if (quorum > 1) t.is(result === down, unhealthy > 0 && (unhealthy >= quorum || healthy === 0));
    }),
  );
});

test('one more node that says unhealthy never brings a backend back, and one that recovers never takes it out', (t) => {
  holds(
    fc.property(state, anyPeers, anyQuorum, fc.nat(), (own, peers, quorum, at) => {
      if (peers.length === 0) return;
      const index = at % peers.length;
      const result = (changed: HealthState) =>
        standingOf(id, { own, peers: peers.with(index, voter(changed)) }, quorum).state;
      t.false(result(down) === up && result(up) === down);
    }),
  );
});

test('alone is alone: its own word, with any quorum', (t) => {
  holds(
    fc.property(state, anyQuorum, (own, quorum) => {
      t.is(standingOf(id, { own, peers: [] }, quorum).state, own);
    }),
  );
});

const many = (unhealthy: readonly number[], unknown: readonly number[] = [], wants = true): Voter => ({
  has: () => wants,
  unhealthy: new Set(unhealthy.map(BigInt)),
  unknown: new Set(unknown.map(BigInt)),
});
const checked = new Set([1n, 2n, 3n, 4n]);
const suspect = (own: Voter, peers: readonly Voter[], percent = 50): boolean =>
  isSuspect(own.unhealthy, { checked, peers, percent });

test('who alone sees more than half of the backends down is suspect', (t) => {
  t.true(suspect(many([1, 2, 3]), [many([])]));
  t.false(suspect(many([1, 2]), [many([])]), 'half is not more than half');
  t.false(suspect(many([1, 2, 3, 4]), [many([1, 2, 3, 4])]), 'what others see, too, is no fault of this node');
  t.true(suspect(many([1, 2]), [many([]), many([3, 4])]), 'of those that pass for the others it sees all fail');
  t.false(suspect(many([1, 2, 3, 4]), []), 'nobody else is there');
  t.false(suspect(many([1, 2, 3, 4]), [many([], [1, 2, 3, 4])]), 'nobody else has an opinion');
  t.false(suspect(many([1, 2, 3, 4]), [many([], [], false)]), 'nobody else wants the same');
  t.true(suspect(many([4]), [many([], [1, 2, 3])]), 'of one that another has an opinion of, one');
  t.true(suspect(many([1]), [many([])], 0), 'at 0 percent the first one makes suspect');
  t.false(suspect(many([]), [many([])], 0));
  t.false(suspect(many([9, 10, 11]), [many([])]), 'what is checked no more does not count');
});

test('suspicion is what counting one by one says', (t) => {
  const some = fc.subarray([1, 2, 3, 4, 5]);
  const one = fc.record({ bad: some, not: some, same: fc.boolean() }).map(({ bad, not, same }) =>
    many(
      bad,
      not.filter((n) => !bad.includes(n)),
      same,
    ),
  );
  holds(
    fc.property(some, fc.array(one, { maxLength: 4 }), fc.integer({ min: 0, max: 100 }), (bad, peers, percent) => {
      const own = many(bad);
      const pass = [...checked].filter((n) => {
        const says = peers.map((peer) => standingOf(n, { own: none, peers: [peer] }, 'majority').state);
        return says.includes(up) && !says.includes(down);
      });
      const alone = pass.filter((n) => own.unhealthy.has(n));
      t.is(suspect(own, peers, percent), pass.length > 0 && alone.length / pass.length > percent / 100);
    }),
    { numRuns: 1000 },
  );
});

test('of 50,000 checks those that fail are looked at, and few of the rest', (t) => {
  const all = new Set(Array.from({ length: 50_000 }, (_, i) => BigInt(i)));
  let asked = 0;
  const peer: Voter = {
    unhealthy: new Set(),
    unknown: new Set(),
    has: () => {
      asked++;
      return true;
    },
  };
  t.false(isSuspect(new Set([1n, 2n]), { checked: all, peers: [peer], percent: 50 }));
  t.true(asked <= 6, `${asked}`);
  asked = 0;
  const sameThere = { ...peer, unhealthy: all };
  t.false(isSuspect(all, { checked: all, peers: [sameThere, peer], percent: 50 }));
  t.is(asked, 0, 'a failure that all see');
});
