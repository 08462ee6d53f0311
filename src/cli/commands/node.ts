import { action, examples, type Register } from '../command.js';
import { confirm } from '../confirm.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { printable } from '../format/table.js';

export const registerDetach: Register = (program, io) => {
  const command = program
    .command('detach')
    .summary('take the program off the interfaces')
    .description(
      'Takes the program off its interfaces and removes the pins. Traffic to the VIPs on this node stops, and the ' +
        'sessions are forgotten. Asks first on a terminal, and wants --yes elsewhere.',
    )
    .option('-y, --yes', 'do not ask')
    .action(action<{ yes?: boolean }>(io, detach));
  examples(command, ['spillway detach', 'spillway detach --yes']);
};

async function detach(context: Context, options: { yes?: boolean }): Promise<void> {
  await confirm(context, 'Traffic to the VIPs on this node will stop. Detach?', options.yes === true);
  const response = await context.call('detach', (agent, call) => agent.node.detach({}, call));
  if (context.json) await context.printJson((await jsonOf('spillway.v1.DetachResponse'))(response));
  else if (response.interfaces.length === 0) await context.print('nothing was attached\n');
  else await context.print(`detached from ${response.interfaces.join(', ')}\n`);
}

export const registerReconcile: Register = (program, io) => {
  const command = program
    .command('reconcile')
    .summary('compare the kernel with the desired state now, and repair')
    .description('Compares the kernel with the desired state now, repairs what differs, and says what that was.')
    .action(action<object>(io, reconcile));
  examples(command, ['spillway reconcile', "spillway reconcile --json | jq '.repairs'"]);
};

async function reconcile(context: Context): Promise<void> {
  const response = await context.call('reconcile', (agent, call) => agent.node.reconcile({}, call));
  if (context.json) {
    await context.printJson((await jsonOf('spillway.v1.ReconcileResponse'))(response));
    return;
  }
  const { paint } = context.io;
  const steps = response.steps.map((step) => `  ${printable(step)}\n`).join('');
  const { repairs } = response;
  const result =
    repairs === 0
      ? paint.good('as it should be')
      : paint.warn(`${repairs} ${repairs === 1 ? 'entry' : 'entries'} repaired`);
  await context.print(`${steps}${result}\n`);
}
