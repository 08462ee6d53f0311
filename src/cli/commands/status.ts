import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatTime } from '../format/time.js';
import { clearScreen } from '../screen.js';
import { formatStatus } from '../views/status.js';

interface Options {
  readonly watch?: boolean;
}

export const registerStatus: Register = (program, io) => {
  const command = program
    .command('status')
    .summary('what this node does, and what keeps it from it')
    .description(
      'Shows node, interfaces, configuration, session table and listeners, and what keeps the node from serving as ' +
        'configured. Exit 0 also with problems: they are the answer, not a failure.',
    )
    .option('-w, --watch', 'again at each change; with --json one document a line')
    .action(action<Options>(io, status));
  examples(command, ['spillway status', 'spillway status --watch', "spillway status --json | jq -e '.problems == []'"]);
};

async function status(context: Context, options: Options): Promise<void> {
  if (options.watch === true) {
    await watch(context);
    return;
  }
  const now = await context.call('status', (agent, call) => agent.status.get({ summary: true }, call));
  if (context.json) await context.printJson((await jsonOf('spillway.v1.Status'))(now));
  else await context.print(formatStatus(now, { nowMs: Date.now(), paint: context.io.paint }));
}

async function watch(context: Context): Promise<void> {
  const toJson = context.json ? await jsonOf('spillway.v1.Status') : null;
  const agent = await context.agent();
  const terminal = context.io.stdout.isTTY === true;
  let seen = false;
  await context.outlivingRestarts(
    () => seen,
    async () => {
      for await (const now of agent.status.watch({ summary: true })) {
        seen = true;
        if (toJson !== null) {
          await context.print(`${JSON.stringify(toJson(now))}\n`);
          continue;
        }
        const nowMs = Date.now();
        // On a terminal the picture is replaced; in a file each has its time above it.
        const head = terminal ? clearScreen : `== ${formatTime(nowMs)}\n`;
        await context.print(`${head}${formatStatus(now, { nowMs, paint: context.io.paint })}`);
      }
    },
  );
}
