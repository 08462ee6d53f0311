import { existsSync } from 'node:fs';
import { BpfLink, BpfProgram, queryXdp, type XdpMode } from '../dataplane/addon.js';
import { linkPin, type Pins } from './pins.js';

/** Where the link that is pinned for an interface stands. */
export type Attachment =
  | { readonly state: 'none' }
  /** On this interface, in this network namespace. */
  | {
      readonly state: 'attached';
      readonly mode: XdpMode | 'offload';
      readonly programId: number;
      /** False: an attach was cut short, what is pinned beside the link is of another program. */
      readonly whole: boolean;
    }
  /** Its device was deleted: the pin leads nowhere. */
  | { readonly state: 'gone' }
  /** A device of another network namespace (which has an interface of this name too). */
  | { readonly state: 'elsewhere' };

export function inspect(pins: Pins, target: { readonly name: string; readonly ifindex: number | null }): Attachment {
  const path = linkPin(pins, target.name);
  if (!existsSync(path)) return { state: 'none' };
  const link = BpfLink.openPinned(path);
  try {
    const { ifindex, programId } = link.info;
    if (ifindex === 0) return { state: 'gone' };
    // The link names its device by index alone; indexes of two namespaces may be equal, program ids are not.
    const here = target.ifindex === ifindex ? queryXdp(ifindex) : null;
    if (here?.programId !== programId) return { state: 'elsewhere' };
    return { state: 'attached', mode: here.mode, programId, whole: programId === pinnedProgramId(pins.decap) };
  } finally {
    link.close();
  }
}

/** Null: nothing is pinned there. */
export function pinnedProgramId(path: string): number | null {
  if (!existsSync(path)) return null;
  const program = BpfProgram.openPinned(path);
  try {
    return program.info.id;
  } finally {
    program.close();
  }
}
