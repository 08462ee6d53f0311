import { Command } from 'commander';
import { count, listOf } from '../options.js';

export const SCHEDULERS = ['TCH', 'SCH', 'WRR', 'RR', 'WLC'] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

export interface Options {
  readonly json: boolean;
  readonly seconds: number;
  readonly schedulers: readonly Scheduler[];
  /** That the table is sized for; it is filled beyond that, to its last slot. */
  readonly sessions: number;
}

/** The driver goes round the established flows in a schedule of 2^20. */
export const MOST_SLOTS = 1 << 20;

interface Given extends Partial<Options> {
  readonly quick?: boolean;
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- flood')
    .description('Spoofed SYN, ACK and UDP floods on a session table that established sessions fill to the last slot.')
    .option('--json', 'print an object with all figures instead of the table')
    .option('--quick', 'five seconds on a table for 50k sessions: for a look, not for a record')
    .option('--seconds <n>', 'of flood (default 30)', count)
    .option('--schedulers <list>', `of ${SCHEDULERS.join(',')} (default TCH,WRR)`, listOf(SCHEDULERS))
    .option('--sessions <n>', 'that the table is sized for, up to 800k (default 800k)', count)
    .addHelpText('after', '\nExample:\n  npm run bench -- flood --seconds 10 --schedulers WRR')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  const given = command.opts<Given>();
  return {
    json: given.json ?? false,
    seconds: given.seconds ?? (given.quick ? 5 : 30),
    schedulers: given.schedulers ?? ['TCH', 'WRR'],
    sessions: Math.min(given.sessions ?? (given.quick ? 50_000 : 800_000), 800_000),
  };
}
