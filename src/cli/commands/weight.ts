import type { messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { integer } from '../globals.js';
import { parseBackendName } from '../names.js';

export const registerWeight: Register = (program, io) => {
  const command = program
    .command('weight')
    .summary('change the weight of one backend')
    .description(
      'Sets the weight of one backend: its share of the new sessions against the others of its group. ' +
        '0 drains it; 100 is the default, and ends a drain.',
    )
    .argument('<group/backend>', 'for example web/be1')
    .argument('<weight>', '0 to 100', integer({ min: 0, max: 100 }))
    .action(action<object, [string, number]>(io, (context, _, args) => weight(context, args)));
  examples(command, ['spillway weight web/be1 50', 'spillway weight web/be1 100   # after a drain']);
};

async function weight(context: Context, [name, value]: [string, number]): Promise<void> {
  const backend = await setWeight(context, name, value);
  if (context.json) await context.printJson((await jsonOf('spillway.v1.Backend'))(backend));
  else await context.print(`${name}: weight ${value}${value === 0 ? ', drains' : ''}\n`);
}

/** Changes that one field and leaves the rest of the state as it is. */
export function setWeight(context: Context, name: string, weight: number): Promise<messages.Backend> {
  const { group, backend } = parseBackendName(name);
  return context.call(`weight of ${name}`, (agent, call) =>
    agent.config.updateBackend(
      { backendGroup: group, backend: { name: backend, weight }, updateMask: { paths: ['weight'] } },
      call,
    ),
  );
}
