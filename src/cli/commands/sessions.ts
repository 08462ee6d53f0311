import type { messages } from '../../api/client.js';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { TableWriter } from '../format/table.js';
import { groupDigits } from '../format/units.js';
import { integer } from '../globals.js';
import { Progress } from '../progress.js';
import { addFilterOptions, type FilterOptions, toFilter } from '../session_filter.js';
import { sessionColumns, sessionRow } from '../views/sessions.js';

interface Options extends FilterOptions {
  readonly limit?: number;
  readonly all?: boolean;
}

const tableLimit = 1000;
/** The first page is small so that `| head` has its answer at once. */
const firstPage = 200;
const page = 5000;

export const registerSessions: Register = (program, io) => {
  const command = program
    .command('sessions')
    .summary('list sessions')
    .description(
      `Lists sessions, page after page as they come. A table ends after ${groupDigits(tableLimit)} unless --limit or --all says otherwise; ` +
        '--json prints all of them, one a line, as one array, unless --limit says otherwise. ' +
        'A session that moves or is made meanwhile may be missed.',
    );
  addFilterOptions(command)
    .option('-n, --limit <n>', 'at most so many', integer({ min: 1, max: 1e12 }))
    .option('--all', 'without limit')
    .action(action<Options>(io, sessions));
  examples(command, [
    'spillway sessions --client 198.51.100.0/24',
    'spillway sessions --backend web/be1 --state established --limit 20',
    'spillway sessions --json | head',
  ]);
};

async function sessions(context: Context, options: Options): Promise<void> {
  const filter = toFilter(options);
  const limit = options.limit ?? (options.all === true || context.json ? Number.POSITIVE_INFINITY : tableLimit);
  const print = context.json ? await jsonPrinter(context) : tablePrinter(context);
  // A rare session may be pages away: those come empty, one after the other.
  const progress = new Progress(context.io.stderr, 'searching the session table');
  let printed = 0;
  let pageToken = '';
  do {
    const pageSize = Math.min(limit - printed, printed === 0 ? firstPage : page);
    const request = { filter, pageSize, pageToken };
    const answer = await context.call('sessions', (agent, call) => agent.sessions.list(request, call));
    if (answer.sessions.length > 0) progress.stop();
    await print.page(answer.sessions);
    printed += answer.sessions.length;
    pageToken = answer.nextPageToken;
  } while (pageToken !== '' && printed < limit);
  progress.stop();
  await print.end();
  if (context.json) return;
  if (printed === 0) context.note('no session matches');
  else if (pageToken !== '') context.note(`${groupDigits(printed)} shown, there may be more: --limit N or --all`);
}

interface Printer {
  page(sessions: readonly messages.Session[]): Promise<void>;
  end(): Promise<void>;
}

function tablePrinter(context: Context): Printer {
  const table = new TableWriter(sessionColumns, context.io.paint.bold);
  return {
    page: (rows) =>
      rows.length === 0
        ? Promise.resolve()
        : context.print(table.write(rows.map((session) => sessionRow(session, context.io.paint)))),
    end: () => Promise.resolve(),
  };
}

async function jsonPrinter(context: Context): Promise<Printer> {
  const toJson = await jsonOf('spillway.v1.Session');
  let first = true;
  return {
    async page(rows) {
      let out = '';
      for (const session of rows) {
        out += `${first ? '[\n' : ',\n'}${JSON.stringify(toJson(session))}`;
        first = false;
      }
      await context.print(out);
    },
    end: () => context.print(first ? '[]\n' : '\n]\n'),
  };
}
