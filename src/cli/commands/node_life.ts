import type { Command } from 'commander';
import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { CommandError } from '../errors.js';
import { jsonOf } from '../format/json.js';
import { formatAge } from '../format/time.js';
import { counted, formatRate, groupDigits } from '../format/units.js';
import type { Io } from '../io.js';
import { followNode } from '../node_follow.js';
import { formatNode, lifeWords } from '../views/cluster.js';

/** The agent itself says when a drain took too long: a little later it is the client's turn. */
const graceMs = 5000;
/** A join takes at most a minute and mostly a second. */
const activateMs = 60_000;

export const registerNode: Register = (program, io) => {
  const group = program
    .command('node')
    .summary("this node's life: show it, drain, activate")
    .description(
      'Shows where this node is in its life: joining (fetches sessions), active (announces its VIPs), draining (withdrawn, ' +
        'traffic still comes), stopped (drained, until it is activated: restarts of the agent and of the host included).',
    )
    .action(action<object>(io, show));
  registerDrain(group, io);
  registerActivate(group, io);
  examples(group, ['spillway node', 'spillway node drain --timeout 2m', 'spillway node activate']);
};

async function show(context: Context): Promise<void> {
  const now = await context.call('node', (agent, call) => agent.cluster.get({}, call));
  if (context.json) {
    const toJson = await jsonOf('spillway.v1.ClusterNode');
    await context.printJson(toJson(now.nodes.find((node) => node.self) ?? {}));
    return;
  }
  await context.print(formatNode(now, { nowMs: Date.now(), paint: context.io.paint }));
}

function registerDrain(group: Command, io: Io): void {
  const command = group
    .command('drain')
    .summary('withdraw the routes and wait until the traffic has moved to other nodes')
    .description(
      'Withdraws this node and waits until, by its counters, no traffic comes any more; the other nodes go on with its ' +
        "connections. --timeout says how long (default: the agent's node.drainTimeout). After that it exits with 1, and " +
        'the node stays withdrawn. It stays so until "spillway node activate".',
    )
    .action(action<object>(io, drain));
  examples(command, ['spillway node drain', 'spillway node drain --timeout 2m && systemctl stop spillwayd']);
}

const drainHint =
  'Wait on with "spillway node drain", see why with "spillway cluster", or bring it back with "spillway node activate".';

async function drain(context: Context): Promise<void> {
  const { timeoutGiven, timeoutMs } = context.globals;
  const agent = await context.agent();
  const show = progressLine(context);
  const startedAt = performance.now();
  try {
    await followNode(context, {
      what: 'drain',
      // Without --timeout it is the agent that knows how long.
      limitMs: timeoutGiven ? timeoutMs + graceMs : Number.POSITIVE_INFINITY,
      hint: drainHint,
      call: (passedMs, call) => {
        const leftMs = passedMs < graceMs ? timeoutMs : Math.max(1000, Math.ceil(timeoutMs - passedMs));
        const timeout = { seconds: BigInt(Math.floor(leftMs / 1000)), nanos: Math.round((leftMs % 1000) * 1e6) };
        return agent.cluster.drain(timeoutGiven ? { timeout } : {}, call);
      },
      async take(now) {
        if (now.done) {
          show.end();
          if (context.json) await context.printJson((await jsonOf('spillway.v1.DrainProgress'))(now));
          else await context.print(`${now.message} (${formatAge(performance.now() - startedAt)})\n`);
          return true;
        }
        const vips = now.announced === 0 ? '' : `, ${counted(now.announced, 'VIP')} still announced`;
        show.line(`${lifeWords[now.life]}: ${now.message}; ${formatRate(now.packetsPerSecond)} packets/s${vips}`);
        return false;
      },
    });
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'DEADLINE_EXCEEDED') throw error;
    throw new CommandError(error.message, { code: error.code, hint: drainHint, cause: error });
  } finally {
    show.end();
  }
}

function registerActivate(group: Command, io: Io): void {
  const command = group
    .command('activate')
    .summary('bring a drained node back: sessions first, then routes')
    .description(
      'Ends a drain: the sessions are fetched from another node, then the VIPs are announced. An active node stays as it is. ' +
        '--timeout says how long to wait (default: 60s); after that it exits with 1, and the agent goes on.',
    )
    .action(action<object>(io, activate));
  examples(command, ['spillway node activate', "spillway node activate --json | jq '.announced'"]);
}

async function activate(context: Context): Promise<void> {
  const { timeoutGiven, timeoutMs } = context.globals;
  const agent = await context.agent();
  const show = progressLine(context);
  try {
    await followNode(context, {
      what: 'activate',
      limitMs: timeoutGiven ? timeoutMs : activateMs,
      hint: 'The agent goes on with it: see "spillway node" and "spillway cluster".',
      call: (_passedMs, call) => agent.cluster.activate({}, call),
      async take(now) {
        if (now.done) {
          show.end();
          if (context.json) await context.printJson((await jsonOf('spillway.v1.ActivateProgress'))(now));
          else {
            const message = now.message === '' ? '' : `; ${now.message}`;
            await context.print(`active, ${counted(now.announced, 'VIP')} announced${message}\n`);
          }
          return true;
        }
        const of = now.sessionsExpected > 0n ? ` of about ${groupDigits(now.sessionsExpected)}` : '';
        const sessions = now.life === 'JOINING' ? `; ${groupDigits(now.sessions)}${of} sessions` : '';
        show.line(`${lifeWords[now.life]}: ${now.message}${sessions}`);
        return false;
      },
    });
  } finally {
    show.end();
  }
}

const quietMs = 2000;
/** Without a terminal a line at most so often. */
const lineMs = 5000;

/** On standard error once it takes long: on a terminal one line that is rewritten, elsewhere a line now and then. */
function progressLine(context: Context) {
  const { stderr } = context.io;
  const startedAt = performance.now();
  let nextAtMs = quietMs;
  let shown = false;
  return {
    line(text: string): void {
      const waitedMs = performance.now() - startedAt;
      if (waitedMs < quietMs) return;
      const line = `${text} (${formatAge(waitedMs)})`;
      if (stderr.isTTY) {
        stderr.write(`\r${line.slice(0, (stderr.columns ?? 80) - 1)}\x1b[K`);
        shown = true;
      } else if (waitedMs >= nextAtMs) {
        stderr.write(`${line}\n`);
        nextAtMs = waitedMs + lineMs;
      }
    },
    end(): void {
      if (shown) stderr.write('\r\x1b[K');
      shown = false;
    },
  };
}
