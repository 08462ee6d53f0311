/**
 * Runs the next-hop tracker in the network namespace of the process, for a test that lives in another: commands on
 * stdin ({"set": [...]}, {"refresh": true}, {"verify": [...]}, {"close": {"release": bool}}), the state on stdout, a JSON line after
 * each change. Arguments: the interfaces.
 */
import { createInterface } from 'node:readline';
import { NetlinkSocket } from '../../src/dataplane/addon.js';
import { createNextHopTracker } from '../../src/netlink/tracker.js';
import type { NextHop, Port, WayOut } from '../../src/netlink/types.js';

export interface AgentState {
  /** Of the command seen last: changes told before it are older. */
  readonly command: number;
  readonly hops: Readonly<Record<string, NextHop>>;
  readonly interfaces: readonly Port[];
  readonly waysOut: Readonly<Record<string, WayOut>>;
  readonly problems: readonly string[];
  readonly changes: number;
  readonly settledMs: number;
  readonly cpuMs: number;
}

export type AgentCommand =
  | { readonly set: readonly string[] }
  | { readonly refresh: true }
  | { readonly verify: readonly string[] }
  | { readonly close: { readonly release: boolean } };

let addresses: readonly string[] = [];
let command = 0;
let changes = 0;
let settledMs = 0;
const tracker = createNextHopTracker({
  netlink: NetlinkSocket,
  interfaces: process.argv.slice(2),
  graceMs: Number(process.env['GRACE_MS'] ?? 30_000),
  onChange: () => {
    changes++;
    tell();
  },
});

function tell(): void {
  const cpu = process.cpuUsage();
  const state: AgentState = {
    command,
    hops: Object.fromEntries(addresses.map((address) => [address, tracker.get(address)])),
    interfaces: tracker.ports(),
    waysOut: Object.fromEntries(tracker.waysOut()),
    problems: tracker.problems(),
    changes,
    settledMs,
    cpuMs: (cpu.user + cpu.system) / 1000,
  };
  process.stdout.write(`${JSON.stringify(state)}\n`);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as AgentCommand;
  const startedMs = performance.now();
  command++;
  if ('set' in request) {
    addresses = request.set;
    tracker.setAddresses(addresses);
  } else if ('refresh' in request) {
    tracker.refresh();
  } else if ('verify' in request) {
    tracker.verify(request.verify);
  } else {
    tracker.close(request.close);
    process.exit(0);
  }
  void tracker.settled().then(() => {
    settledMs = performance.now() - startedMs;
    tell();
  });
});
