import { Command } from 'commander';
import type { Register } from './command.js';
import { registerAccessList } from './commands/access_list.js';
import { registerAddresses } from './commands/addresses.js';
import { registerApply } from './commands/apply.js';
import { registerBackend } from './commands/backend.js';
import { registerBackends } from './commands/backends.js';
import { registerCapture } from './commands/capture.js';
import { registerCluster } from './commands/cluster.js';
import { registerCompletion } from './commands/completion.js';
import { registerDrain } from './commands/drain.js';
import { registerDrops } from './commands/drops.js';
import { registerExplain } from './commands/explain.js';
import { registerGet } from './commands/get.js';
import { registerMetering } from './commands/metering.js';
import { registerDetach, registerReconcile } from './commands/node.js';
import { registerNode } from './commands/node_life.js';
import { registerPurge } from './commands/purge.js';
import { registerSessions } from './commands/sessions.js';
import { registerStatus } from './commands/status.js';
import { registerTop } from './commands/top.js';
import { clientVersion, registerVersion } from './commands/version.js';
import { registerWeight } from './commands/weight.js';
import { addGlobalOptions } from './globals.js';
import type { Io } from './io.js';

const groups: readonly (readonly [title: string, members: readonly Register[]])[] = [
  ['Configuration:', [registerApply, registerGet, registerWeight, registerDrain, registerAccessList]],
  [
    'What is:',
    [
      registerStatus,
      registerBackends,
      registerSessions,
      registerExplain,
      registerDrops,
      registerCapture,
      registerTop,
      registerMetering,
      registerAddresses,
      registerCluster,
    ],
  ],
  ['This node:', [registerNode, registerReconcile, registerPurge, registerDetach]],
  ['On a backend host:', [registerBackend]],
  ['Else:', [registerVersion, registerCompletion]],
];

/** The whole command line. Neither gRPC nor a native addon is loaded by it: each command loads what it needs. */
export function buildProgram(io: Io): Command {
  const program = new Command('spillway')
    .description('Speaks to the agent of a Spillway load balancer (spillwayd).')
    .usage('[options] <command>')
    .version(clientVersion(), '-V, --version', 'print the version of this client')
    .addHelpCommand(new Command('help').argument('[command]').description('help for a command').helpGroup('Else:'))
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, put) => put(text.replace(/^error: /, 'spillway: ')),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true, sortOptions: false });
  addGlobalOptions(program);
  for (const [title, members] of groups) {
    program.commandsGroup(title);
    for (const register of members) register(program, io);
  }
  program.addHelpText(
    'after',
    '\nExit codes: 0 good, 1 refused or failed, 2 wrong usage.\n\n' +
      'Examples:\n  $ spillway apply -f site.yaml\n  $ spillway status\n  $ spillway --socket lb2.example:7443 --tls-ca ca.pem --tls-cert me.pem --tls-key me.key status\n',
  );
  return program;
}
