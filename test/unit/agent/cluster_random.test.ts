/** Whatever happens to a node and in whatever order: what it announces follows from what is so. */
import test from 'ava';
import fc from 'fast-check';
import { peer } from '../../support/peer_report.js';
import { never, settled, vips, World } from './cluster_world.js';

type Event =
  | { readonly what: 'drain' | 'activate' | 'joined' | 'time' }
  | { readonly what: 'unhealthy'; readonly names: readonly string[] }
  | { readonly what: 'refuse' | 'detached' | 'secondary' | 'cut'; readonly is: boolean };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.constantFrom<Event>({ what: 'drain' }, { what: 'activate' }, { what: 'joined' }, { what: 'time' }),
  fc.record({ what: fc.constant('unhealthy' as const), names: fc.subarray(['be1', 'be2']) }),
  fc.record({
    what: fc.constantFrom('refuse' as const, 'detached' as const, 'secondary' as const, 'cut' as const),
    is: fc.boolean(),
  }),
);

async function play(world: World, one: Event): Promise<void> {
  switch (one.what) {
    case 'drain':
      void world.port.drain({ timeoutMs: null }, never())[Symbol.asyncIterator]().next();
      break;
    case 'activate':
      void world.port.activate(never())[Symbol.asyncIterator]().next();
      break;
    case 'joined':
      for (const join of world.sync.joins) join.end();
      break;
    case 'time':
      await world.pass(300);
      break;
    case 'unhealthy':
      world.setUnhealthy(...one.names);
      break;
    case 'refuse':
      world.announcer.refuses = one.is ? 'BIRD does not answer' : '';
      break;
    case 'detached':
      world.dataPlaneFault = one.is ? 'not attached' : '';
      world.node.refresh();
      break;
    case 'secondary':
      world.sync.setPeers([peer({ zone: 'b', announced: one.is ? 2 : 0 })]);
      break;
    case 'cut':
      world.sync.setPeers([peer({ zone: 'b', alive: !one.is })]);
      world.announcer.setNeighbor(one.is ? 'Connect' : 'Established');
  }
  await settled();
}

test('once all is quiet, an active node announces exactly what is healthy, and a drained one nothing', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(event, { maxLength: 25 }), async (drainedBefore, events) => {
      const world = new World({ zone: 'a', zones: ['a', 'b'] });
      world.withdrawn = drainedBefore;
      await world.node.start({ takesOver: false });
      let wanted: 'active' | 'stopped' = drainedBefore ? 'stopped' : 'active';
      let down: readonly string[] = [];
      for (const one of events) {
        if (one.what === 'drain') wanted = 'stopped';
        if (one.what === 'activate') wanted = 'active';
        if (one.what === 'unhealthy') down = one.names;
        const told = world.announcer.told.length;
        await play(world, one);
        // What is told after a drain is the withdrawal.
        if (wanted === 'stopped' && one.what !== 'drain') {
          for (const routes of world.announcer.told.slice(told)) if (routes.length > 0) return false;
        }
      }
      world.announcer.refuses = '';
      await play(world, { what: 'cut', is: false });
      // The longest wait is the hold-down; joins that begin meanwhile end, too.
      for (let i = 0; i < 5; i++) {
        await play(world, { what: 'joined' });
        await world.pass(300);
      }
      await world.pass(11_000);
      const serves = wanted === 'active' && world.dataPlaneFault === '';
      const expected = serves ? vips.filter((_, i) => !down.includes(`be${i + 1}`)) : [];
      const { life } = world.node.view();
      return (
        life === wanted &&
        world.withdrawn === (wanted === 'stopped') &&
        world.announced.join() === expected.join() &&
        world.node.view().routesSettled
      );
    }),
    { numRuns: 60 },
  );
  t.pass();
});
