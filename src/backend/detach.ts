import { BpfLink, interfaceIndex } from '../dataplane/addon.js';
import { inspect } from './attachment.js';
import { BackendError } from './errors.js';
import { readInterfaces } from './host.js';
import { isBackend, linkPin, pinnedInterfaces, pinsOf, removePins } from './pins.js';
import { detachReplies, replyInterfaces } from './replies.js';

export interface DetachResult {
  readonly instance: string;
  /** Off these; empty when nothing was attached (any more). */
  readonly interfaces: readonly string[];
}

/** Takes the program off at once and removes the pins, counters included. No error when there is nothing. */
export function detach(instance: string): DetachResult {
  const pins = pinsOf(instance);
  if (!isBackend(pins)) return { instance, interfaces: [] };
  const detached: string[] = [];
  for (const name of pinnedInterfaces(pins)) {
    const { state } = inspect(pins, { name, ifindex: interfaceIndex(name) });
    if (state === 'elsewhere') {
      throw new BackendError(
        `instance ${instance} is attached to ${name} of another network namespace`,
        'Run this command in that namespace (nsenter --net=/run/netns/NAME).',
      );
    }
    if (state !== 'attached') continue;
    const link = BpfLink.openPinned(linkPin(pins, name));
    try {
      link.detach();
    } finally {
      link.close();
    }
    detached.push(name);
  }
  // Replies last: those to requests that were mapped are still on their way.
  detachReplies(replyInterfaces(pins, readInterfaces()));
  removePins(pins);
  return { instance, interfaces: detached };
}
