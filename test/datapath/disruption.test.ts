/** What a change of one backend costs the flows of the others: through real packets, for established flows and new ones. */
import test from 'ava';
import { pinToCpu } from '../support/pin_cpu.js';
import { openWeb, type Web, webDesired } from './web.js';

test.before(() => pinToCpu(0));

const BACKENDS = 100;
const FLOWS = 5000;
const all = Array.from({ length: BACKENDS }, () => 100);

const changes: readonly (readonly [string, readonly (number | null)[]])[] = [
  ['removed', all.map((weight, i) => (i === 41 ? null : weight))],
  ['drained', all.map((weight, i) => (i === 41 ? 0 : weight))],
  ['halved', all.map((weight, i) => (i === 41 ? 50 : weight))],
];

const backendsOf = (web: Web, flags: string, from: number): string[] => {
  const names = new Map(
    [...web.lb.compiled!.backends.values()].map((one) => [one.nextHopMac.replaceAll(':', ''), one.backend.name]),
  );
  return web
    .flows(FLOWS, { from })
    .map((flow) => names.get(web.lb.run(web.frame(flow, flags)).frame.toString('hex', 0, 6)) ?? 'none');
};

for (const [what, weights] of changes) {
  test(`one of ${BACKENDS} backends ${what}: at most 2 % of the others' new flows move, and of established ones none`, async (t) => {
    const web = await openWeb(t, { buckets: 4096, backends: 256, weights: all });
    const newBefore = backendsOf(web, 'S', 50_000);
    for (let i = 0; i < 2; i++) backendsOf(web, 'A', 40_000);
    const establishedBefore = backendsOf(web, 'A', 40_000);
    await web.set(webDesired({ weights }));
    const newAfter = backendsOf(web, 'S', 50_000);
    const establishedAfter = backendsOf(web, 'A', 40_000);
    const movedOf = (before: readonly string[], after: readonly string[]): number =>
      before.filter((name, i) => name !== 'be42' && after[i] !== name).length;
    const moved = (100 * movedOf(newBefore, newAfter)) / FLOWS;
    const broken = movedOf(establishedBefore, establishedAfter);
    t.log(`${moved.toFixed(2)} % of the others' new flows moved, ${broken} of their ${FLOWS} established ones`);
    t.true(moved <= 2);
    t.is(broken, 0);
  });
}
