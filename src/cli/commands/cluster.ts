import { action, examples, type Register } from '../command.js';
import type { Context } from '../context.js';
import { jsonOf } from '../format/json.js';
import { formatTime } from '../format/time.js';
import { clearScreen } from '../screen.js';
import { formatCluster } from '../views/cluster.js';

interface Options {
  readonly watch?: boolean;
}

export const registerCluster: Register = (program, io) => {
  const command = program
    .command('cluster')
    .summary('the nodes of the cluster as this one sees them, and what is announced')
    .description(
      'Shows each node (life, version of its configuration, sessions, how far its stream of sessions lags and what was ' +
        'missed of it), each VIP with the reason why this node does not announce it, the routers, and what keeps the ' +
        'cluster from being one. Exit 0 also with problems: they are the answer, not a failure.',
    )
    .option('-w, --watch', 'again at each change; with --json one document a line')
    .action(action<Options>(io, cluster));
  examples(command, [
    'spillway cluster',
    'spillway cluster --watch',
    'spillway cluster --json | jq -e \'all(.nodes[]; .life == "ACTIVE")\'',
  ]);
};

async function cluster(context: Context, options: Options): Promise<void> {
  if (options.watch === true) {
    await watch(context);
    return;
  }
  const now = await context.call('cluster', (agent, call) => agent.cluster.get({}, call));
  if (context.json) await context.printJson((await jsonOf('spillway.v1.Cluster'))(now));
  else await context.print(formatCluster(now, { nowMs: Date.now(), paint: context.io.paint }));
}

async function watch(context: Context): Promise<void> {
  const toJson = context.json ? await jsonOf('spillway.v1.Cluster') : null;
  const agent = await context.agent();
  const terminal = context.io.stdout.isTTY === true;
  let seen = false;
  await context.outlivingRestarts(
    () => seen,
    async () => {
      for await (const now of agent.cluster.watch({})) {
        seen = true;
        if (toJson !== null) {
          await context.print(`${JSON.stringify(toJson(now))}\n`);
          continue;
        }
        const nowMs = Date.now();
        const head = terminal ? clearScreen : `== ${formatTime(nowMs)}\n`;
        await context.print(`${head}${formatCluster(now, { nowMs, paint: context.io.paint })}`);
      }
    },
  );
}
