import { Command, InvalidArgumentError } from 'commander';

export interface Options {
  readonly json: boolean;
  /** In LoadBalancers of 20; each with a BackendGroup of its own. */
  readonly listeners: number;
  /** Of each group. */
  readonly backends: number;
  /** That the table is sized for, and that are established in it. */
  readonly sessions: number;
  readonly weightChanges: number;
}

function between(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`"${text}": a whole number from ${min} to ${max} is expected.`);
  };
}

/** Exits with status 2 and a message on wrong usage, 0 after --help. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run bench -- scale')
    .description('How long the agent takes, and how much memory, with many listeners, backends and sessions.')
    .option('--json', 'print an object with all figures instead of the table', false)
    .option('--listeners <n>', 'listeners, each with a backend group of its own', between(20, 1000), 1000)
    .option('--backends <n>', 'backends of each group', between(1, 65), 50)
    .option('--sessions <n>', 'sessions in the table', between(1000, 16_000_000), 1_000_000)
    .option('--weight-changes <n>', 'calls of UpdateBackend', between(1, 1000), 30)
    .addHelpText('after', '\nExamples:\n  npm run bench -- scale\n  npm run bench -- scale --json >scale.json')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    .parse([...argv], { from: 'user' });
  return command.opts<Options>();
}
