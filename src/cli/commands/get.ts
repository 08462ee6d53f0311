import { Option } from 'commander';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatTime, toMs } from '../format/time.js';

interface Options {
  readonly output: 'yaml' | 'json';
}

export const registerGet: Register = (program, io) => {
  const command = program
    .command('get')
    .summary('print the desired state in force')
    .description(
      'Prints the desired state in force as a document that "spillway apply" takes. ' +
        'With --json: the same with its version and time around it.',
    )
    .addOption(new Option('-o, --output <format>', 'of the document').choices(['yaml', 'json']).default('yaml'))
    .action(action<Options>(io, get));
  examples(command, ['spillway get > site.yaml', 'spillway get -o json', "spillway get --json | jq -r '.version'"]);
};

async function get(context: Context, options: Options): Promise<void> {
  const response = await context.call('desired state', (agent, call) => agent.config.get({}, call));
  if (context.json) {
    await context.printJson((await jsonOf('spillway.v1.VersionedConfig'))(response));
    return;
  }
  const { codec } = await import('../../api/client.js');
  // What is unset stays out of the document: it is for people to read and to change.
  const document = codec('spillway.v1.Config').toJson(response.config ?? {});
  if (options.output === 'json') {
    await context.printJson(document);
    return;
  }
  const { stringify } = await import('yaml');
  const at = response.appliedAt === null ? '' : `, applied ${formatTime(toMs(response.appliedAt))}`;
  await context.print(`# version ${response.version}${at}\n${stringify(document, { lineWidth: 0 })}`);
}
