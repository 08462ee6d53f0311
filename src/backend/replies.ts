import { type BpfProgram, detachTc, queryTc } from '../dataplane/addon.js';
import { pinnedProgramId } from './attachment.js';
import { BackendError } from './errors.js';
import type { HostInterface } from './host.js';
import type { Pins } from './pins.js';

/** Beside others' filters, and after them: the handle spells "sw". */
const handle = 0x7377;
const priority = 0x7377;

/** Ids that a filter of this instance may have: its program's, or that of an attach which was cut short. */
function ownPrograms(pins: Pins): readonly number[] {
  return [pins.reply, `${pins.reply}-new`].flatMap((path) => pinnedProgramId(path) ?? []);
}

/** Interfaces of this network namespace on which the instance's program for replies is. */
export function replyInterfaces(pins: Pins, interfaces: readonly HostInterface[]): readonly HostInterface[] {
  const own = ownPrograms(pins);
  if (own.length === 0) return [];
  return interfaces.filter(({ ifindex }) => {
    const held = queryTc(ifindex, 'egress', handle, priority);
    return held !== null && own.includes(held);
  });
}

/** @throws BackendError when one of them has the filter of another instance. */
export function refuseForeignReplies(pins: Pins, targets: readonly HostInterface[]): void {
  const own = ownPrograms(pins);
  for (const { name, ifindex } of targets) {
    const held = queryTc(ifindex, 'egress', handle, priority);
    if (held === null || own.includes(held)) continue;
    throw new BackendError(
      `interface ${name} has the reply program of another instance (id ${held})`,
      `Choose other interfaces by --out, detach that instance, or: tc filter del dev ${name} egress prio ${priority} handle 0x${handle.toString(16)} bpf`,
    );
  }
}

/** Puts the program on these, in one step for each; where another was, it is exchanged. */
export function attachReplies(program: BpfProgram, targets: readonly HostInterface[]): void {
  for (const { ifindex } of targets) program.attachTc(ifindex, 'egress', handle, priority);
}

export function detachReplies(targets: readonly HostInterface[]): void {
  for (const { ifindex } of targets) detachTc(ifindex, 'egress', handle, priority);
}
