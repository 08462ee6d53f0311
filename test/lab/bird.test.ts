/** Routes by a BIRD that Spillway keeps, seen by a router that runs another. */
import anyTest, { type TestFn } from 'ava';
import { BirdLab, route } from '../support/lab/bird_lab.js';
import { until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const vip4 = '192.0.2.10';
const vip6 = '2001:db8:10::10';
let lab: BirdLab;

test.before(async () => {
  lab = await BirdLab.up('bird');
});

test.after.always(async () => {
  await lab?.down();
});

test.afterEach.always('what BIRD has to say', async (t) => {
  if (!t.passed)
    t.log(
      lab.read('router', 'bird.log'),
      await lab.birdc('router', 'show route'),
      await lab.birdc('router', 'show protocols'),
      lab.read('node1', 'bird.conf'),
      lab.read('node1', 'bird.conf.log'),
    );
});

test('routes of both families are announced, and withdrawn', async (t) => {
  const node = lab.announcer('node1');
  const opened = await node.call('open', lab.config('node1'));
  t.like(opened, { kind: 'bird', announced: [], problems: [], engine: { running: true, version: 'BIRD 2.0.12' } });
  await node.call('set', [route(vip4), route(vip6)]);
  await until('both routes at the router', async () => (await lab.learnt('node1')).length === 2);
  t.deepEqual(await lab.learnt('node1'), [`${vip4}/32`, `${vip6}/128`]);
  const status = await until('status to say so', async () => {
    const now = await node.call('status');
    return now.announced.length === 2 && now.neighbors.every(({ bfd }) => bfd === 'up') && now;
  });
  t.log(status);
  const startedMs = performance.now();
  t.log(await node.call('set', []));
  await until('no routes at the router', async () => (await lab.learnt('node1')).length === 0);
  t.log(`withdrawn in ${performance.now() - startedMs} ms`);
  t.log(await node.call('log'));
  t.is(await node.call('close', { withdraw: true }), '');
});
