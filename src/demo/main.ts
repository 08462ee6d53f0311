import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Unexpected } from './expect.js';
import { Lab } from './lab.js';
import { balancers } from './scene.js';
import { Screen, seconds } from './screen.js';
import { Stage } from './stage.js';
import { connect2000 } from './steps/connections.js';
import { echoDatagrams } from './steps/datagrams.js';
import { drain } from './steps/drain.js';
import { kill } from './steps/kill.js';
import { picture } from './steps/picture.js';
import { bringBack } from './steps/return.js';
import { configure, makeNetwork, startProcesses } from './steps/setting.js';
import { transfer } from './steps/transfers.js';
import { Stopped, stopped } from './stopped.js';

/** The demo, after set-up and build: scripts/demo runs it as `node main.js --name NAME --lock FILE [--keep]`. */

const steps = [
  makeNetwork,
  startProcesses,
  configure,
  connect2000,
  transfer,
  echoDatagrams,
  kill,
  bringBack,
  drain,
  picture,
];

async function play(screen: Screen, stage: Stage): Promise<void> {
  for (const step of steps) await step(screen, stage);
}

function report(screen: Screen, error: unknown): number {
  screen.line();
  if (error instanceof Stopped) {
    screen.line(`   stopped by ${error.by}`);
    return error.exitCode;
  }
  if (error instanceof Unexpected) {
    const seen = error.seen.replaceAll('\n', '\n          ');
    screen.failed(`not as it should be\nexpected: ${error.expected}\nsaw:      ${seen}`);
  } else screen.failed(`failed: ${error instanceof Error ? error.message : error}`);
  return 1;
}

/** What may explain a failure, before it goes with the lab. */
function showWarnings(screen: Screen, lab: Lab): void {
  for (const host of balancers) {
    const warnings = lab.warnings(host);
    if (warnings.length > 0)
      screen.note(`The agent on ${host} says:\n${warnings.map((text) => `  ${text}`).join('\n')}`);
  }
}

function explain({ name, directory }: Lab): string {
  const down = `npm run demo -- --down${name === 'demo' ? '' : ` --name ${name}`}`;
  return `It is left running. To play with it:

  export SPILLWAY_LAB=${name}
  scripts/lab exec client -- curl -s http://192.0.2.10/              # more than once: who answers?
  scripts/lab exec client -- curl -s 'http://[2001:db8:10::11]/'     # IPv6 in IPv6
  scripts/lab exec lb1 -- spillway status
  scripts/lab exec lb1 -- spillway backends
  scripts/lab exec lb1 -- spillway sessions
  scripts/lab exec lb1 -- spillway explain tcp 198.51.100.2:40000 192.0.2.10:80
  scripts/lab exec lb1 -- spillway drain l2-v4/be1                   # lb2 wants to be told as well
  scripts/lab exec lb1 -- spillway get                               # the configuration: to change, then to apply -f
  scripts/lab exec lb1 -- spillway top                               # a live view
  scripts/lab exec lb1 -- curl -s http://127.0.0.1:9155/metrics
  scripts/lab status

Its files are in ${directory}. To end it:

  ${down}`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { name: { type: 'string' }, lock: { type: 'string' }, keep: { type: 'boolean', default: false } },
  });
  const screen = new Screen(process.stdout, process.env);
  const lab = new Lab(values.name ?? 'demo');
  const stage = new Stage(lab);
  const startedAt = performance.now();
  screen.line(screen.paint.bold('Spillway, from a gRPC call to a packet at a backend'));
  let exitCode = 0;
  let kept = values.keep;
  try {
    await Promise.race([play(screen, stage), stopped(values.lock)]);
  } catch (error) {
    exitCode = report(screen, error);
    if (exitCode === 1) showWarnings(screen, lab);
    kept &&= !(error instanceof Stopped);
  }
  const tookMs = performance.now() - startedAt;
  screen.line();
  stage.close();
  try {
    if (!kept) await cleanUp(screen, lab);
  } catch (error) {
    exitCode = report(screen, error);
  }
  if (exitCode === 0)
    screen.line(`${kept ? '' : '\n'}${screen.paint.green('All as it should be')}, in ${seconds(tookMs)}.`);
  if (kept) screen.line(`\n${explain(lab)}`);
  if (values.lock !== undefined) rmSync(values.lock, { force: true });
  return exitCode;
}

async function cleanUp(screen: Screen, lab: Lab): Promise<void> {
  screen.doing('cleaning up');
  await lab.end();
  screen.saw('cleaned up: no process, namespace or pin is left');
}

process.exit(await main());
