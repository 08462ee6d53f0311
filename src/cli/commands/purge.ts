import { action, examples, type Register } from '../command.js';
import { confirm } from '../confirm.js';
import { type Context, requireUsage } from '../context.js';
import { jsonOf } from '../format/json.js';
import { counted } from '../format/units.js';
import { addFilterOptions, type FilterOptions, toFilter } from '../session_filter.js';

/** Longer than the agent waits for its peers. */
const purgeMs = 90_000;

interface Options extends FilterOptions {
  readonly all?: boolean;
  readonly yes?: boolean;
}

export const registerPurge: Register = (program, io) => {
  const command = program
    .command('purge')
    .summary('forget sessions: their next packet selects anew')
    .description(
      'Removes sessions from the table: their next packet selects a backend anew. Connections whose new backend is ' +
        'another one break. Nodes that share sessions do likewise. Wants a filter, or --all.',
    );
  addFilterOptions(command)
    .option('--all', 'every session, of all nodes that share sessions')
    .option('-y, --yes', 'do not ask (with --all)')
    .action(action<Options>(io, purge));
  examples(command, [
    'spillway purge --backend web/be1',
    'spillway purge --client 198.51.100.7',
    'spillway purge --all --yes',
  ]);
};

async function purge(context: Context, options: Options): Promise<void> {
  const filter = toFilter(options);
  const all = options.all === true;
  requireUsage(all || filter !== null, 'which sessions? give a filter, or --all');
  requireUsage(!all || filter === null, '--all and a filter exclude each other');
  if (all)
    await confirm(
      context,
      'Remove every session of this node and of all nodes that share sessions with it?',
      options.yes === true,
    );
  const { timeoutGiven } = context.globals;
  const response = await context.call('purge', (agent, call) =>
    agent.sessions.purge(filter === null ? { all } : { filter }, timeoutGiven ? call : { timeoutMs: purgeMs }),
  );
  if (context.json) await context.printJson((await jsonOf('spillway.v1.PurgeResponse'))(response));
  else await context.print(`${counted(response.purged, 'session')} removed\n`);
}
