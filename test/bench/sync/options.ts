import { Command } from 'commander';
import { count, listOf } from '../options.js';

/** Percent of the datagrams to each receiver, by chance. */
export const LOSSES = ['0', '1', '10', '50'] as const;
export type Loss = 0 | 1 | 10 | 50;

export interface Options {
  readonly json: boolean;
  /** Sessions a second. */
  readonly rates: readonly number[];
  readonly seconds: number;
  /** Receivers. */
  readonly peers: readonly number[];
  /** Sessions of the bulk transfer; 0: none. */
  readonly transfer: number;
  /** At the rate of the goal, each beside a network that loses nothing. */
  readonly losses: readonly Loss[];
  /** By unicast to each peer. */
  readonly unicast: boolean;
}

interface Given extends Partial<Omit<Options, 'transfer'>> {
  readonly quick?: boolean;
  readonly transfer?: number | false;
}

const losses = (text: string): Loss[] => listOf(LOSSES)(text).map((word) => Number(word) as Loss);
const counts = (text: string): number[] => text.split(',').map(count);

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- sync')
    .description('Sessions of one node on its peers: how many, how soon, at what cost; and a whole table by transfer.')
    .option('--json', 'print an object with all figures instead of the table')
    .option('--quick', '150k sessions/s for a second to two peers, a transfer of 100k: for a look, not for a record')
    .option('--rates <list>', 'sessions a second (default 50k,100k,150k,200k)', counts)
    .option('--seconds <n>', 'of each rate (default 3)', count)
    .option('--peers <list>', 'receiving nodes (default 1,2)', counts)
    .option('--transfer <n>', 'sessions of the bulk transfer (default 1M)', count)
    .option('--no-transfer', 'without it')
    .option('--losses <list>', 'percent of datagrams lost, of 0,1,10,50 (default 0,1,10)', losses)
    .option('--unicast', 'to each peer by itself, as where there is no multicast')
    .addHelpText('after', '\nExample:\n  npm run bench -- sync --rates 150k --peers 2')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Given>();
  const quick = given.quick ?? false;
  return {
    json: given.json ?? false,
    rates: given.rates ?? (quick ? [150_000] : [50_000, 100_000, 150_000, 200_000]),
    seconds: given.seconds ?? (quick ? 1 : 3),
    peers: given.peers ?? (quick ? [2] : [1, 2]),
    transfer:
      given.transfer === false ? 0 : typeof given.transfer === 'number' ? given.transfer : quick ? 100_000 : 1e6,
    losses: given.losses ?? (quick ? [0] : [0, 1, 10]),
    unicast: given.unicast ?? false,
  };
}
