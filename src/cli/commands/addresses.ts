import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatHeld, formatPools } from '../views/addresses.js';

interface Options {
  readonly pool?: string;
}

export const registerAddresses: Register = (program, io) => {
  const command = program
    .command('addresses')
    .summary('address pools: what they have, what is free, who has what')
    .description(
      'Lists the pools that LoadBalancers without addresses are given theirs from, and who has which address: given, ' +
        'named in the document, or a backend’s.',
    )
    .option('-p, --pool <name>', 'of this pool alone')
    .action(action<Options>(io, addresses));
  examples(command, [
    'spillway addresses',
    'spillway addresses --pool public',
    'spillway addresses --json | jq -r \'.[] | .name + " " + .families[].free\'',
  ]);
};

async function addresses(context: Context, { pool = '' }: Options): Promise<void> {
  const { pools } = await context.call('addresses', (agent, call) => agent.status.listAddresses({ pool }, call));
  if (context.json) {
    const toJson = await jsonOf('spillway.v1.AddressPoolStatus');
    await context.printJson(pools.map(toJson));
    return;
  }
  if (pools.length === 0) {
    context.note('no address pools');
    return;
  }
  const { paint } = context.io;
  await context.print(formatPools(pools, paint));
  if (pools.some(({ held }) => held.length > 0)) await context.print(`\n${formatHeld(pools, paint)}`);
}
