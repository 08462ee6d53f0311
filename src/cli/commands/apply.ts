import { InvalidError } from '../../base/errors.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import { integer } from '../globals.js';
import { readInput } from '../input.js';
import { formatApplied } from '../views/apply.js';

interface Options {
  readonly file: string;
  readonly validateOnly?: boolean;
  readonly dryRun?: boolean;
  readonly expectedVersion?: number;
}

export const registerApply: Register = (program, io) => {
  const command = program
    .command('apply')
    .summary('replace the desired state by a document')
    .description(
      'Replaces the whole desired state by a document (YAML or JSON), at once or not at all. What is wrong is refused ' +
        'whole, with every field at fault, and nothing changes. The same document again changes nothing.',
    )
    .requiredOption('-f, --file <file>', 'the document; - is standard input')
    .option('--validate-only', 'only say what would be refused or done')
    .option('--dry-run', 'the same as --validate-only')
    .option('--expected-version <n>', 'refuse unless this version is in force', integer({ min: 0, max: 1e15 }))
    .action(action<Options>(io, apply));
  examples(command, [
    'spillway apply -f site.yaml --dry-run',
    'spillway apply -f site.yaml',
    'spillway get -o yaml | sed s/be1/be9/ | spillway apply -f - --expected-version 7',
  ]);
};

async function apply(context: Context, options: Options): Promise<void> {
  const document = await readInput(context, options.file, 'the document');
  const config = await parse(document);
  const validateOnly = options.validateOnly === true || options.dryRun === true;
  const response = await context.call('apply', (agent, call) =>
    agent.config.apply({ config, validateOnly, expectedVersion: options.expectedVersion ?? null }, call),
  );
  if (context.json) await context.printJson((await jsonOf('spillway.v1.ApplyResponse'))(response));
  else await context.print(formatApplied(response, { validateOnly, paint: context.io.paint }));
}

async function parse(document: string) {
  const { readDocument } = await import('../../config/read.js');
  try {
    return readDocument(document);
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    throw new CommandError('the document cannot be read, nothing was sent', {
      code: 'INVALID_ARGUMENT',
      violations: error.violations,
    });
  }
}
