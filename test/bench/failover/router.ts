import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { LbName } from '../../support/lab/agent.js';
import type { Lab } from '../../support/lab/lab.js';

const run = promisify(execFile);

interface ShownRoute {
  readonly gateway?: string;
  readonly nexthops?: readonly { readonly gateway: string }[];
}

/** The nodes that the router sends a VIP's packets to, by name, in order. */
export async function nextHops(lab: Lab, vip: string): Promise<string[]> {
  const family = vip.includes(':') ? '-6' : '-4';
  /* Asked many times a second while a load runs on the same machine: without a shell in between. */
  const { stdout } = await run('ip', ['-n', `sw-${lab.name}-router`, family, '-j', 'route', 'show', vip]);
  const shown = JSON.parse(stdout) as ShownRoute[];
  const gateways = shown.flatMap(({ gateway, nexthops }) => nexthops?.map((hop) => hop.gateway) ?? [gateway ?? '']);
  return gateways.map(nodeOf).sort();
}

/** By its address on the LAN, 203.0.113.1N or 2001:db8:200::1N; by its MAC, which makes a link-local one. */
function nodeOf(gateway: string): LbName | string {
  const number = /^(?:203\.0\.113\.|2001:db8:200::|fe80::ff:fe00:1)1(\d)$/.exec(gateway)?.[1];
  return number === undefined ? gateway : `lb${number}`;
}
