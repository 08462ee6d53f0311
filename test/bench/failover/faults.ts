/** What goes wrong with the network, at the switch's ports of the nodes. */

import type { LbName } from '../../support/lab/agent.js';
import type { Lab } from '../../support/lab/lab.js';
import { OUT } from '../paths.js';

const object = `${OUT}/failover/loss.bpf.o`;

/** Nothing comes through any more, and the carrier stays: as a switch that has gone mad. */
export async function cut(lab: Lab, node: LbName): Promise<void> {
  await lab.must('bridge', 'bridge', 'link', 'set', 'dev', node, 'state', '0');
}

export async function mend(lab: Lab, node: LbName): Promise<void> {
  await lab.must('bridge', 'bridge', 'link', 'set', 'dev', node, 'state', '3');
}

export async function setLink(lab: Lab, node: LbName, state: 'up' | 'down'): Promise<void> {
  await lab.must('bridge', 'ip', 'link', 'set', node, state);
}

/** Of what the nodes say to each other, each loses a share of its own. */
export async function loseSync(lab: Lab, nodes: readonly LbName[], section: 'loss10' | 'loss50'): Promise<void> {
  for (const node of nodes) await filter(lab, node, ['egress'], section);
}

/** The node neither hears the others nor do they hear it. */
export async function partition(lab: Lab, node: LbName): Promise<void> {
  await filter(lab, node, ['egress', 'ingress'], 'cut');
}

export async function stopLosing(lab: Lab, nodes: readonly LbName[]): Promise<void> {
  for (const node of nodes) {
    for (const direction of ['egress', 'ingress'])
      await lab.must('bridge', 'tc', 'filter', 'del', 'dev', node, direction);
  }
}

/** Once, before there is traffic: where filters go. The kernel stops a device for a moment to make room for them. */
export async function prepareFilters(lab: Lab, nodes: readonly LbName[]): Promise<void> {
  for (const node of nodes) await lab.must('bridge', 'tc', 'qdisc', 'add', 'dev', node, 'clsact');
}

async function filter(lab: Lab, node: LbName, directions: readonly string[], section: string): Promise<void> {
  for (const direction of directions) {
    const words = ['tc', 'filter', 'add', 'dev', node, direction, 'bpf', 'direct-action', 'obj', object];
    await lab.must('bridge', ...words, 'sec', section);
  }
}
