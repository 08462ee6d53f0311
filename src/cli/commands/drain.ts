import { setTimeout as delay } from 'node:timers/promises';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import { formatAge, formatDuration } from '../format/time.js';
import { counted } from '../format/units.js';
import { parseBackendName } from '../names.js';
import { setWeight } from './weight.js';

const defaultWaitMs = 300_000;
const pollMs = 500;

export const registerDrain: Register = (program, io) => {
  const command = program
    .command('drain')
    .summary('no new sessions for a backend; those that it has stay')
    .description(
      'Sets the weight of a backend to 0: it keeps its sessions and gets no new ones. With --wait: until the last one ' +
        'has gone; --timeout then says how long (default 300s). After that it exits with 1 and the backend stays drained. ' +
        '"spillway weight GROUP/BACKEND 100" brings it back.',
    )
    .argument('<group/backend>', 'for example web/be1')
    .option('-w, --wait', 'until no session is left')
    .action(action<{ wait?: boolean }, [string]>(io, (context, options, [name]) => drain(context, name, options)));
  examples(command, ['spillway drain web/be1', 'spillway drain web/be1 --wait --timeout 10m']);
};

async function drain(context: Context, name: string, options: { wait?: boolean }): Promise<void> {
  const { group, backend } = parseBackendName(name);
  const message = await setWeight(context, name, 0);
  const toJson = context.json ? await jsonOf('spillway.v1.Backend') : null;
  if (options.wait !== true) {
    if (toJson !== null) await context.printJson(toJson(message));
    else await context.print(`${name}: drains, gets no new sessions\n`);
    return;
  }
  const startedAt = performance.now();
  const limitMs = context.globals.timeoutGiven ? context.globals.timeoutMs : defaultWaitMs;
  const show = progressLine(context, name);
  for (;;) {
    const waitedMs = performance.now() - startedAt;
    const remaining = await countSessions(context, { group, backend });
    if (remaining === 0) break;
    if (waitedMs >= limitMs) {
      show.end();
      throw new CommandError(
        `${name} still has ${counted(remaining, 'session')} after ${formatDuration(limitMs)}; it stays at weight 0`,
        {
          code: 'DEADLINE_EXCEEDED',
          hint: `Wait on with "spillway drain ${name} --wait", or end them with "spillway purge --backend ${name}".`,
        },
      );
    }
    show.line(remaining, waitedMs);
    await delay(Math.min(pollMs, limitMs - waitedMs));
  }
  show.end();
  const waitedSeconds = Math.round((performance.now() - startedAt) / 100) / 10;
  if (toJson !== null) await context.printJson({ backend: toJson(message), remaining: 0, waitedSeconds });
  else await context.print(`${name}: drained, no session left after ${formatAge(waitedSeconds * 1000)}\n`);
}

/**
 * The status counts from time to time, so its 0 may be from before the drain: then the table itself is asked for one
 * session. At least 1 is returned while any is there.
 */
async function countSessions(context: Context, of: { group: string; backend: string }): Promise<number> {
  const status = await context.call('sessions', (agent, call) => agent.status.get({ summary: false }, call));
  const counted = status.listeners
    .filter((listener) => listener.backendGroup === of.group)
    .flatMap((listener) => listener.backends.filter((backend) => backend.name === of.backend))
    .reduce((sum, backend) => sum + Number(backend.traffic?.activeSessions ?? 0n), 0);
  if (counted > 0) return counted;
  let pageToken = '';
  do {
    const request = { filter: { backendGroup: of.group, backend: of.backend }, pageSize: 1, pageToken };
    const page = await context.call('sessions', (agent, call) => agent.sessions.list(request, call));
    if (page.sessions.length > 0) return 1;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return 0;
}

/** On a terminal one line that is rewritten; elsewhere a line when the number changed, at most every five seconds. */
function progressLine(context: Context, name: string) {
  const { stderr } = context.io;
  let lastText = '';
  let nextAtMs = 0;
  return {
    line(remaining: number, waitedMs: number): void {
      const text = `${name}: ${counted(remaining, 'session')} left`;
      if (stderr.isTTY) {
        stderr.write(`\r${text} (${formatAge(waitedMs)})\x1b[K`);
      } else if (text !== lastText && waitedMs >= nextAtMs) {
        stderr.write(`${text}\n`);
        nextAtMs = waitedMs + 5000;
      }
      lastText = text;
    },
    end(): void {
      if (stderr.isTTY && lastText !== '') stderr.write('\r\x1b[K');
    },
  };
}
