/** A router that is not on the link: BGP and BFD over a hop. */
import anyTest, { type TestFn } from 'ava';
import { BirdLab, NODE_AS, neighbor, ROUTER_AS, route } from '../support/lab/bird_lab.js';
import { patience, until } from '../support/lab/until.js';

const test = anyTest.serial as unknown as TestFn;
const far4 = '10.91.200.1';
const far6 = 'fd91:200::1';
const session = (family: 4 | 6): string => `protocol bgp node1_v${family} {
  local ${family === 4 ? far4 : far6} as ${ROUTER_AS}; neighbor ${family === 4 ? '10.91.1.1' : 'fd91:1::1'} as ${NODE_AS};
  multihop 2; passive on; bfd on; error wait time 1, 3; connect delay time 1;
  ipv${family} { import all; export none; };
}`;
let lab: BirdLab;

test.before(async () => {
  const bfd = 'protocol bfd far { multihop { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; }; }';
  lab = await BirdLab.up('hop', { routerBfd: false, routerSessions: [bfd, session(4), session(6)].join('\n') });
  for (const address of [`${far4}/32`, `${far6}/128`])
    await lab.inside('router', 'ip', 'address', 'add', address, 'dev', 'lo');
  // BIRD binds BFD to the address when it starts.
  lab.signalBird('router', 'SIGKILL');
  await lab.startRouter();
  await lab.inside('node1', 'ip', '-4', 'route', 'add', far4, 'via', '10.91.1.2');
  await lab.inside('node1', 'ip', '-6', 'route', 'add', far6, 'via', 'fd91:1::2');
});

test.after.always(async () => {
  await lab?.down();
});

test('routes of both families reach it, and it leaves a node that falls silent within the time of BFD', async (t) => {
  const node = lab.announcer('node1');
  const neighbors = [neighbor(far4, { multihop: 2 }), neighbor(far6, { multihop: 2 })];
  const without = await node.call('open', lab.config('node1', { neighbors }));
  t.regex(without.problems[0]!, /is 2 hops away: BFD to it needs routes\.localAddress4/);
  await node.call('close', { withdraw: false });
  const addresses = { localAddress4: '10.91.1.1', localAddress6: 'fd91:1::1' };
  await node.call('open', lab.config('node1', { neighbors, ...addresses }));
  t.like(await node.call('set', [route('192.0.2.10'), route('2001:db8:10::10')]), { error: '' });
  await until('both routes', async () => (await lab.learnt('node1')).length === 2);
  await until('BFD', async () => (await node.call('status')).neighbors.every(({ bfd }) => bfd === 'up'));
  t.deepEqual((await node.call('status')).problems, []);
  const [pid] = await lab.birdPids('node1');
  const startedMs = performance.now();
  process.kill(pid!, 'SIGSTOP');
  await until('no route', async () => (await lab.learnt('node1')).length === 0);
  const gapMs = performance.now() - startedMs;
  process.kill(pid!, 'SIGCONT');
  t.log(`left after ${Math.round(gapMs)} ms`);
  t.true(gapMs < 1000 * patience);
  await until('both routes again', async () => (await lab.learnt('node1')).length === 2, { withinMs: 20_000 });
  await node.call('close', { withdraw: true });
});
