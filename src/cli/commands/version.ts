import { readFileSync } from 'node:fs';
import type { messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatFields } from '../format/table.js';
import { groupDigits } from '../format/units.js';

export const registerVersion: Register = (program, io) => {
  const command = program
    .command('version')
    .summary('versions of client and agent')
    .description('Prints the versions of this client and of the agent, its data plane and its kernel.')
    .option('--client', 'of this client only; asks no agent')
    .action(action<{ client?: boolean }>(io, version));
  examples(command, ['spillway version', 'spillway version --client']);
};

/** As in package.json, which stands beside dist/. */
export function clientVersion(): string {
  const text = readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function version(context: Context, options: { client?: boolean }): Promise<void> {
  const client = clientVersion();
  if (options.client === true) {
    if (context.json) await context.printJson({ client: { version: client, nodeVersion: process.version } });
    else await context.print(`spillway ${client}\n`);
    return;
  }
  const agent = await context.call('version', (client, call) => client.node.getVersion({}, call));
  if (context.json) {
    const toJson = await jsonOf('spillway.v1.Version');
    await context.printJson({ client: { version: client, nodeVersion: process.version }, agent: toJson(agent) });
    return;
  }
  await context.print(
    formatFields(
      [
        ['Client', `${client}, Node.js ${process.version}`],
        ['Agent', `${agent.version}, Node.js ${agent.nodeVersion}`],
        ['Layout', `version ${agent.layoutVersion}`],
        ...programsOf(agent).map(
          ({ name, tag, verifiedInstructions, jitedBytes }) =>
            [
              name === '' ? 'Program' : `Program ${name}`,
              `tag ${tag}, ${groupDigits(verifiedInstructions)} instructions verified${jitedBytes === 0 ? '' : `, ${groupDigits(jitedBytes)} bytes of machine code`}`,
            ] as const,
        ),
        ['Kernel', `${agent.kernel}, libbpf ${agent.libbpf}`],
      ],
      context.io.paint.bold,
    ),
  );
}

/** An older agent tells of the XDP program alone, and not by name. */
function programsOf({ programs, programTag, verifiedInstructions }: messages.Version): readonly Program[] {
  return programs.length > 0 ? programs : [{ name: '', tag: programTag, verifiedInstructions, jitedBytes: 0 }];
}

type Program = Pick<messages.Program, 'name' | 'tag' | 'verifiedInstructions' | 'jitedBytes'>;
