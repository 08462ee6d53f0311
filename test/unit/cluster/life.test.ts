import test from 'ava';
import fc from 'fast-check';
import { isWithdrawn, type LifeEvent, type LifeState, step, unborn } from '../../../src/cluster/life.js';
import { holds } from '../../support/holds.js';

const run = (...events: readonly LifeEvent[]): LifeState => events.reduce(step, unborn);
const start: LifeEvent = { event: 'start', withdrawn: false, takesOver: false };
const joined: LifeEvent = { event: 'joined', atMs: 100, zoneIsGone: true };

test('a node joins, serves, is drained, and comes back by way of another join', (t) => {
  const lives = [start, joined, { event: 'drain' }, { event: 'drained' }, { event: 'activate' }, joined] as const;
  let state = unborn;
  t.deepEqual(
    lives.map((event) => {
      state = step(state, event);
      return state.life;
    }),
    ['joining', 'active', 'draining', 'stopped', 'joining', 'active'],
  );
});

test('what a node was drained for outlives its agent: it waits for traffic to go, and announces nothing', (t) => {
  const state = run({ event: 'start', withdrawn: true, takesOver: true });
  t.is(state.life, 'draining');
  t.false(state.takesOver);
  t.is(step(state, { event: 'drained' }).life, 'stopped');
});

test('a node that took over knows no zone that was gone: it was its zone', (t) => {
  t.false(run({ event: 'start', withdrawn: false, takesOver: true }, joined).zoneWasGone);
  t.true(run(start, joined).zoneWasGone);
});

test('a node that was drained and comes back takes nothing over', (t) => {
  const took = { event: 'start', withdrawn: false, takesOver: true } as const;
  t.false(run(took, { event: 'drain' }, { event: 'activate' }).takesOver);
});

test('a join that ends after the node was drained makes nothing of it', (t) => {
  const state = run(start, { event: 'drain' });
  t.is(step(state, joined), state);
});

const event: fc.Arbitrary<LifeEvent> = fc.oneof(
  fc.record({
    event: fc.constant('joined' as const),
    atMs: fc.nat(),
    zoneIsGone: fc.boolean(),
  }),
  fc.constantFrom<LifeEvent>({ event: 'drain' }, { event: 'drained' }, { event: 'activate' }),
);

test('whatever comes, from drain to activate a node is withdrawn, and each command given twice is given once', (t) => {
  holds(
    fc.property(fc.boolean(), fc.boolean(), fc.array(event, { maxLength: 40 }), (withdrawn, takesOver, events) => {
      let state = step(unborn, { event: 'start', withdrawn, takesOver });
      let out = withdrawn;
      for (const one of events) {
        if (one.event === 'drain') out = true;
        if (one.event === 'activate') out = false;
        state = step(state, one);
        if (isWithdrawn(state) !== out) return false;
        if (step(state, one) !== state) return false;
        if (state.life === 'active' && state.joinedAtMs === null) return false;
        if (state.takesOver && (state.life !== 'joining' || !takesOver)) return false;
      }
      return true;
    }),
  );
  t.pass();
});
