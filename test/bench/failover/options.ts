import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { count } from '../options.js';
import { eventNames } from './scenes.js';

export interface Options {
  readonly json: boolean;
  /** Empty: all. */
  readonly events: readonly string[];
  readonly connections: number;
  readonly perSecond: number;
  readonly flows: number;
  /** Another checkout, built: its agents run until they are upgraded. */
  readonly from: string | null;
  /** Times that the events are played, one round after the other. */
  readonly rounds: number;
  /** null: the events in order. */
  readonly random: { readonly minutes: number; readonly seed: number } | null;
}

interface Given {
  readonly json?: boolean;
  readonly quick?: boolean;
  readonly events?: readonly string[];
  readonly connections?: number;
  readonly rate?: number;
  readonly rounds?: number;
  readonly from?: string;
  readonly random?: boolean;
  readonly minutes?: number;
  readonly seed?: number;
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- failover')
    .description(
      'What breaks when something happens to a cluster: three nodes with BIRD, a router, three backends, clients, all in namespaces.',
    )
    .option('--json', 'print an object with all figures instead of the table')
    .option('--quick', '300 connections and 20 new ones a second: for a look, not for a record')
    .option('--events <list>', `only these: ${eventNames.join(', ')}`, events)
    .option('--connections <n>', 'long-lived ones (default 3000)', count)
    .option('--rate <n>', 'new connections a second (default 200)', count)
    .option('--rounds <n>', 'plays the events so many times (default 1)', count)
    .option('--from <dir>', 'another checkout, built: its agents run until an event upgrades them, one after the other')
    .option('--random', 'events drawn by chance, one after the other, with everything checked after each')
    .option('--minutes <n>', 'of random events (default 10)', count)
    .option('--seed <n>', 'draws the same events again (default: printed)', count)
    .addHelpText(
      'after',
      '\nExamples:\n  npm run bench -- failover --events node-cut,node-returns\n  npm run bench -- failover --random --minutes 10 --seed 7',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Given>();
  return {
    json: given.json ?? false,
    events: given.events ?? [],
    connections: given.connections ?? (given.quick ? 300 : 3000),
    perSecond: given.rate ?? (given.quick ? 20 : 200),
    flows: 24,
    rounds: given.rounds ?? 1,
    from: given.from === undefined ? null : resolve(given.from),
    random: given.random ? { minutes: given.minutes ?? 10, seed: given.seed ?? (Date.now() % 1_000_000) + 1 } : null,
  };
}

function events(text: string): readonly string[] {
  const names = text.split(',');
  const unknown = names.find((name) => !eventNames.includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${eventNames.join(', ')}.`);
  return names;
}
