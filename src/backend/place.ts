import { existsSync, rmSync } from 'node:fs';
import { BpfLink, BpfProgram, isNativeError, type XdpMode } from '../dataplane/addon.js';
import type { Attachment } from './attachment.js';
import { BackendError } from './errors.js';
import type { HostInterface } from './host.js';

export interface Placed {
  readonly mode: XdpMode;
  /** How: "attached", or "replaced" without a gap, or "reattached" with one because the mode changed. */
  readonly action: 'attached' | 'replaced' | 'reattached';
  /** Why native XDP was not to be had; null when it was, or was not tried. */
  readonly fallback: string | null;
}

interface Place {
  readonly wanted: 'auto' | XdpMode;
  readonly target: HostInterface;
  readonly before: Attachment;
  /** Of the link. */
  readonly pin: string;
  /** Of the program in force, if any. */
  readonly programPin: string;
}

/** Puts the XDP program on the interface, or in the place of the one that is there. */
export function place(program: BpfProgram, at: Place): Placed {
  const { wanted, before, pin } = at;
  const attached = before.state === 'attached' && before.mode !== 'offload' ? before.mode : null;
  if (attached !== null && (wanted === 'auto' || wanted === attached)) {
    withLink(pin, (link) => link.update(program));
    return { mode: attached, action: 'replaced', fallback: null };
  }
  if (attached !== null) withLink(pin, (link) => link.detach());
  rmSync(pin, { force: true });
  try {
    return { ...attachAndPin(program, at, wanted), action: attached === null ? 'attached' : 'reattached' };
  } catch (error) {
    // The mode that was asked for is not to be had: back to what was there.
    if (attached !== null && existsSync(at.programPin)) restore(at, attached);
    throw error;
  }
}

function restore(at: Place, mode: XdpMode): void {
  const program = BpfProgram.openPinned(at.programPin);
  try {
    attachAndPin(program, at, mode);
  } finally {
    program.close();
  }
}

function attachAndPin(
  program: BpfProgram,
  { target, pin }: Place,
  wanted: Place['wanted'],
): { readonly mode: XdpMode; readonly fallback: string | null } {
  const { link, mode, fallback } = attachLink(program, target, wanted);
  try {
    link.pin(pin);
  } finally {
    link.close();
  }
  return { mode, fallback };
}

function withLink(pin: string, use: (link: BpfLink) => void): void {
  const link = BpfLink.openPinned(pin);
  try {
    use(link);
  } finally {
    link.close();
  }
}

function attachLink(
  program: BpfProgram,
  target: HostInterface,
  wanted: Place['wanted'],
): { readonly link: BpfLink; readonly mode: XdpMode; readonly fallback: string | null } {
  if (wanted === 'generic') return { link: tryMode(program, target, 'generic'), mode: 'generic', fallback: null };
  try {
    return { link: tryMode(program, target, 'native'), mode: 'native', fallback: null };
  } catch (error) {
    if (wanted === 'native' || !(error instanceof BackendError)) throw error;
    return { link: tryMode(program, target, 'generic'), mode: 'generic', fallback: error.message };
  }
}

function tryMode(program: BpfProgram, target: HostInterface, mode: XdpMode): BpfLink {
  try {
    return program.attachXdp(target.ifindex, mode);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    const log = error.log === null ? '' : `: ${error.log.trim()}`;
    throw new BackendError(
      `${target.name} takes no program in ${mode} mode (${error.code}${log})`,
      mode === 'native' ? 'Use --mode auto, or lower the MTU, or take another driver.' : '',
      { cause: error },
    );
  }
}
