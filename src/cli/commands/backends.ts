import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatBackends, formatHistory, selectBackends } from '../views/backends.js';

interface Options {
  readonly group?: string;
  readonly unhealthy?: boolean;
  readonly history?: boolean;
}

export const registerBackends: Register = (program, io) => {
  const command = program
    .command('backends')
    .summary('backends with health, since when and why')
    .description('Lists the backends of each listener: health, since when and why, sessions, traffic.')
    .option('-g, --group <name>', 'of this backend group')
    .option('-u, --unhealthy', 'only those that are unhealthy, unknown or take no packets')
    .option('--history', 'with the last changes of health, latest first')
    .action(action<Options>(io, backends));
  examples(command, [
    'spillway backends --unhealthy',
    'spillway backends --group web --history',
    'spillway backends --json | jq -r \'.[] | select(.health != "HEALTHY") | .name\'',
  ]);
};

async function backends(context: Context, options: Options): Promise<void> {
  const status = await context.call('backends', (agent, call) => agent.status.get({ summary: false }, call));
  const rows = selectBackends(status, { group: options.group ?? null, unhealthyOnly: options.unhealthy ?? false });
  if (context.json) {
    const toJson = await jsonOf('spillway.v1.BackendStatus');
    await context.printJson(
      rows.map(({ listener, backend }) => ({
        loadBalancer: listener.loadBalancer,
        listener: listener.listener,
        backendGroup: listener.backendGroup,
        ...(toJson(backend) as object),
      })),
    );
    return;
  }
  const view = { nowMs: Date.now(), paint: context.io.paint };
  if (rows.length === 0) context.note('no backend matches');
  else await context.print(formatBackends(rows, view));
  if (options.history === true) await context.print(formatHistory(rows, view));
}
