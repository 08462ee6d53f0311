import type { Command } from 'commander';
import type { messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { entriesFrom } from '../entries.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import type { Io } from '../io.js';
import { countEntries, formatList, formatSummaries, summaries } from '../views/access_lists.js';

interface Options {
  readonly file?: string;
  readonly description?: string;
  readonly allowEmpty?: boolean;
}

type Args = [name: string, entries: string[]];

export const registerAccessList: Register = (program, io) => {
  const group = program
    .command('access-list')
    .summary('clients that listeners allow or deny: show, set, add, remove, delete')
    .description(
      'Lists of client prefixes, which listeners allow or deny by accessControl. Each change is made whole: no packet ' +
        'meets a half-changed list.',
    );
  registerShow(group, io);
  registerSet(group, io);
  registerChange(group, io, 'add');
  registerChange(group, io, 'remove');
  registerDelete(group, io);
  examples(group, ['spillway access-list set blocked -f drop.txt', 'spillway access-list add blocked 198.51.100.7']);
};

function registerShow(group: Command, io: Io): void {
  const command = group
    .command('show')
    .summary('the entries of a list, or which lists there are')
    .description(
      'Prints the entries of a list, one a line as "set -f" takes them; without a name, which lists there are.',
    )
    .argument('[name]', 'of the list')
    .action(action<object, [string | undefined]>(io, (context, _, [name]) => show(context, name)));
  examples(command, ['spillway access-list show', 'spillway access-list show blocked > blocked.txt']);
}

function registerSet(group: Command, io: Io): void {
  const command = withEntries(
    group
      .command('set')
      .summary('replace the entries of a list, or create it')
      .description('Replaces all entries of a list at once; creates the list where there is none of that name.'),
  )
    .option('--description <text>', 'what the list is for')
    .option('--allow-empty', 'an empty list is meant: with DENY nobody is denied, with ALLOW everybody')
    .action(action<Options, Args>(io, set));
  examples(command, [
    'spillway access-list set office 198.51.100.0/24 2001:db8:1::/48',
    'curl -fsS https://lists.example/drop.txt | spillway access-list set blocked -f -',
  ]);
}

function registerChange(group: Command, io: Io, kind: 'add' | 'remove'): void {
  const [summary, description] = {
    add: ['add entries to a list', 'Adds entries to a list; those that it has already are no fault.'],
    remove: ['remove entries from a list', 'Removes entries from a list; those that it does not have are no fault.'],
  }[kind] as [string, string];
  const command = withEntries(group.command(kind).summary(summary).description(description)).action(
    action<Options, Args>(io, (context, options, args) => change(context, { kind, options, args })),
  );
  examples(command, [`spillway access-list ${kind} blocked 198.51.100.7 2001:db8:bad::/48`]);
}

function registerDelete(group: Command, io: Io): void {
  const command = group
    .command('delete')
    .summary('delete a list that no listener uses')
    .description('Deletes a list. Refused while a listener uses it.')
    .argument('<name>', 'of the list')
    .action(
      action<object, [string]>(io, async (context, _, [name]) => {
        await context.call('access list', (agent, call) => agent.config.deleteAccessList({ name }, call));
        if (context.json) await context.printJson({ name });
        else await context.print(`${name}: deleted\n`);
      }),
    );
  examples(command, ['spillway access-list delete blocked']);
}

function withEntries(command: Command): Command {
  return command
    .argument('<name>', 'of the list')
    .argument('[entry...]', 'addresses or prefixes, as 198.51.100.7 or 2001:db8::/48')
    .option('-f, --file <file>', 'entries from a file, one a line, "#" or ";" begin a comment; - is standard input');
}

async function show(context: Context, name: string | undefined): Promise<void> {
  const { config } = await context.call('access lists', (agent, call) => agent.config.get({}, call));
  const lists = config?.accessLists ?? [];
  const known = config === null ? [] : summaries(config);
  if (name === undefined) {
    if (context.json) await context.printJson(known);
    else if (known.length === 0) context.note('no access list');
    else await context.print(formatSummaries(known, context.io.paint));
    return;
  }
  const index = lists.findIndex((list) => list.name === name);
  if (index < 0) {
    const names = lists.map((list) => list.name).join(', ');
    const hint = names === '' ? 'There is none: create one with "spillway access-list set".' : `There are: ${names}.`;
    throw new CommandError(`no access list "${name}"`, { code: 'NOT_FOUND', hint });
  }
  if (context.json) await context.printJson((await jsonOf('spillway.v1.AccessList'))(lists[index]!));
  else await context.print(formatList(lists[index]!, known[index]!));
}

async function set(context: Context, options: Options, [name, args]: Args): Promise<void> {
  const { file, description, allowEmpty = false } = options;
  const entries =
    allowEmpty && args.length === 0 && file === undefined ? [] : await entriesFrom(context, { args, file });
  if (entries.length === 0 && !allowEmpty) {
    // What a failed download leaves behind must not open or close the door for everybody.
    throw new CommandError(`${file} holds no entries, nothing was changed`, {
      hint: 'Where an empty list is meant, say so with --allow-empty.',
    });
  }
  const fields = { entries, ...(description === undefined ? {} : { description }) };
  const accessList = { name, ...fields };
  const updateMask = { paths: Object.keys(fields) };
  const { list, created } = await update().catch((error: unknown) => {
    if (error instanceof CommandError && error.code === 'NOT_FOUND') return create();
    throw error;
  });
  const entryCount = list.entries.length;
  if (context.json) await context.printJson({ name, entryCount, created });
  else await context.print(`${name}: ${countEntries(entryCount)}${created ? ', created' : ''}\n`);

  async function update(): Promise<{ list: messages.AccessList; created: boolean }> {
    const request = { accessList, updateMask };
    const list = await context.call('access list', (agent, call) => agent.config.updateAccessList(request, call));
    return { list, created: false };
  }
  async function create(): Promise<{ list: messages.AccessList; created: boolean }> {
    const list = await context.call('access list', (agent, call) =>
      agent.config.createAccessList({ accessList }, call),
    );
    return { list, created: true };
  }
}

async function change(
  context: Context,
  { kind, options, args: [name, args] }: { kind: 'add' | 'remove'; options: Options; args: Args },
): Promise<void> {
  const entries = await entriesFrom(context, { args, file: options.file });
  const request = { name, [kind]: entries };
  const done = await context.call('access list', (agent, call) => agent.config.changeAccessListEntries(request, call));
  if (context.json) {
    await context.printJson((await jsonOf('spillway.v1.ChangeAccessListEntriesResponse'))(done));
    return;
  }
  const [count, word] = kind === 'add' ? [done.added, 'added'] : [done.removed, 'removed'];
  await context.print(`${name}: ${countEntries(count)} ${word}, ${countEntries(done.entryCount)} now\n`);
}
