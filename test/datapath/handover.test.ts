/** Between SYN and first ACK only the table knows the choice: what happens to handshakes when it is replaced. */
import test from 'ava';
import { HANDOVER_MS } from '../../src/dataplane/tables.js';
import { type Flow, openWeb, type Web, webDesired } from './web.js';

/** Flows whose choice another set of weights changes, with both choices. */
async function moving(web: Web, weights: readonly number[], count = 300): Promise<{ flow: Flow; before: string }[]> {
  const flows = web.flows(count).map((flow) => ({ flow, before: web.send(flow, 'S') }));
  await web.set(webDesired({ weights }));
  return flows;
}

test('a handshake that began before the swap ends on the same backend', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = await moving(web, [100, 0, 100]);
  for (const { flow, before } of flows) t.is(web.send(flow, 'A'), before);
  for (const { flow, before } of flows) t.is(web.send(flow, 'A'), before, 'and stays there');
  t.is(web.state(flows[0]!.flow), 'established');
});

test('a SYN after the swap goes by the new table, and is recorded if its choice has changed', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = await moving(web, [100, 0, 100]);
  let changed = 0;
  for (const { flow, before } of flows) {
    const now = web.send(flow, 'S');
    if (before === 'be2') {
      t.not(now, 'be2');
      changed++;
    }
    t.is(web.state(flow), now === before ? 'none' : 'young');
    t.is(web.send(flow, 'A'), now, 'the first ACK follows its SYN');
  }
  t.true(changed > 50);
});

test('a backend that went down with the swap gets nothing from the table before', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = web.flows(100);
  for (const flow of flows) web.send(flow, 'S');
  await web.set(webDesired(), { unresolved: ['be2'] });
  for (const flow of flows) t.not(web.send(flow, 'A'), 'be2');
});

test('UDP has no handshake: it goes by the new table at once', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  await web.set(webDesired({ weights: [100, 0, 100] }));
  for (const flow of web.flows(100, { udp: true })) t.not(web.send(flow), 'be2');
});

test('after the window nothing is recorded, and the table before is read no more', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = await moving(web, [100, 0, 100]);
  web.lb.passMs(HANDOVER_MS - 300);
  t.is(web.send(flows.find(({ before }) => before === 'be2')!.flow, 'A'), 'be2', 'the window is still open');
  web.lb.passMs(700);
  for (const { flow } of web.flows(100, { from: 50_000 }).map((flow) => ({ flow }))) {
    const choice = web.send(flow, 'S');
    t.not(choice, 'be2');
    t.is(web.state(flow), 'none');
    t.is(web.send(flow, 'A'), choice);
  }
  for (const { flow } of flows.slice(1)) if (!web.session(flow)) t.not(web.send(flow, 'A'), 'be2');
});

test('the window stays shut for as long as nobody touches the pool', async (t) => {
  const web = await openWeb(t, { buckets: 256 });
  const flows = await moving(web, [100, 0, 100]);
  for (const days of [1, 23, 25, 40, 49, 50, 400]) {
    const ticks = Math.floor((days * 86_400_000) / web.lb.clock.tickMs);
    web.lb.pass(ticks);
    for (const { flow, before } of flows) {
      if (before === 'be2') t.not(web.send(flow, 'S'), 'be2');
      t.is(web.state(flow), 'none', `${days} days after the swap`);
    }
    web.lb.pass(-ticks);
  }
});

test('two swaps in one window: each handshake ends on the backend that its SYN went to', async (t) => {
  const web = await openWeb(t, { buckets: 256, weights: [100, 0, 0] });
  const [first, second, third] = [0, 1, 2].map((n) => web.flows(50, { from: 40_000 + n }));
  for (const flow of first!) t.is(web.send(flow, 'S'), 'be1');
  await web.set(webDesired({ weights: [0, 100, 0] }));
  for (const flow of second!) t.is(web.send(flow, 'S'), 'be2');
  await web.set(webDesired({ weights: [0, 0, 100] }));
  for (const flow of third!) t.is(web.send(flow, 'S'), 'be3');
  for (const flow of first!) t.is(web.send(flow, 'A'), 'be1');
  for (const flow of second!) t.is(web.send(flow, 'A'), 'be2');
  for (const flow of third!) t.is(web.send(flow, 'A'), 'be3');
});

test('a second swap long after the first hands over from the table that was in force', async (t) => {
  const web = await openWeb(t, { buckets: 256, weights: [100, 0, 0] });
  await web.set(webDesired({ weights: [0, 100, 0] }));
  web.lb.passMs(2 * HANDOVER_MS);
  for (const flow of web.flows(50)) t.is(web.send(flow, 'S'), 'be2');
  await web.set(webDesired({ weights: [0, 0, 100] }));
  for (const flow of web.flows(50)) t.is(web.send(flow, 'A'), 'be2');
});
