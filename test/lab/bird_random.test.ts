/**
 * Random events against one node and its router: routes told, agents and BIRDs killed, tables disabled. The seed is
 * printed; SPILLWAY_SEED plays one again.
 */
import anyTest, { type TestFn } from 'ava';
import type { AnnouncerMethods } from '../support/lab/announcer.js';
import { BirdLab, route } from '../support/lab/bird_lab.js';
import type { Peer } from '../support/lab/peer.js';
import { until } from '../support/lab/until.js';
import { Random } from '../support/random.js';

const test = anyTest.serial as unknown as TestFn;
const EVENTS = 30;
const vips = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '2001:db8:10::1', '2001:db8:10::2', '2001:db8:10::3'];
const prefixOf = (vip: string): string => (vip.includes(':') ? `${vip}/128` : `${vip}/32`);
let lab: BirdLab;

test.before(async () => {
  lab = await BirdLab.up('rand');
});

test.after.always(async () => {
  await lab?.down();
});

test('whatever happens, the router hears of what was told last, and never of what was not', async (t) => {
  const random = new Random();
  t.log(`seed ${random.seed}`);
  let node: Peer<AnnouncerMethods> = lab.announcer('node1');
  let told: string[] = [];
  let inForce = true;
  /** Told since the router last had what it should. */
  let possible: string[] = [];
  const history: string[] = [];
  await node.call('open', lab.config('node1'));

  const settle = async (): Promise<void> => {
    const expected = told.map(prefixOf).sort().join();
    await until(
      `the router to have ${expected || 'nothing'} after ${history.slice(-6).join('; ')}`,
      async () => {
        return (await lab.learnt('node1')).join() === expected;
      },
      { withinMs: 20_000 },
    );
    possible = told;
  };
  const tell = async (): Promise<void> => {
    inForce =
      (
        await node.call(
          'set',
          told.map((vip) => route(vip)),
        )
      ).error === '';
  };
  const openAgain = async (): Promise<void> => {
    node = lab.announcer('node1');
    await node.call('open', lab.config('node1'));
    // What was refused need not have come as far as the file.
    if (!inForce) await tell();
  };
  const events: Readonly<Record<string, () => Promise<void>>> = {
    async tell() {
      told = vips.filter(() => random.below(2) === 0);
      possible = [...possible, ...told];
      await tell();
      const known = new Set(possible.map(prefixOf));
      const strangers = (await lab.learnt('node1')).filter((prefix) => !known.has(prefix));
      t.deepEqual(strangers, [], history.join('; '));
      if (inForce) await settle();
    },
    async killBird() {
      for (const pid of await lab.birdPids('node1')) process.kill(pid, 'SIGKILL');
    },
    async killAgent() {
      await node.close();
      await openAgain();
    },
    async restartAgentWithoutBird() {
      await node.close();
      for (const pid of await lab.birdPids('node1')) process.kill(pid, 'SIGKILL');
      await openAgain();
    },
    async disable() {
      await lab.birdc('node1', `disable spillway${random.below(2) === 0 ? 4 : 6}`).catch(() => {
        // BIRD may be gone just now.
      });
    },
    settle,
  };
  const names = [
    'tell',
    'tell',
    'tell',
    'tell',
    'killBird',
    'killAgent',
    'restartAgentWithoutBird',
    'disable',
    'settle',
  ];
  for (let count = 0; count < EVENTS; count++) {
    const name = random.pick(names);
    history.push(name);
    await events[name]!();
  }
  await settle();
  const { problems } = await until('no problem', async () => {
    const status = await node.call('status');
    return status.problems.length === 0 && status;
  });
  t.deepEqual(problems, []);
  t.is((await lab.birdPids('node1')).length, 1);
  t.log(history.join(' '));
  await node.call('close', { withdraw: true });
});
