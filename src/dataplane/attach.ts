import { existsSync, readdirSync, rmSync } from 'node:fs';
import { BpfLink, type BpfProgram, type NativeError, queryXdp, type XdpMode } from './addon.js';
import type { Pins } from './layout.js';

export interface Attachment {
  readonly interface: string;
  readonly ifindex: number;
  readonly mode: XdpMode;
  /** Why native mode was not possible; empty when it was, or was not asked for. */
  readonly fallbackReason: string;
  readonly link: BpfLink;
}

/** A bpffs reserves dots: eth0.100 is pinned as eth0:100, which is no name of an interface. */
export function linkPin(pins: Pins, interfaceName: string): string {
  return `${pins.link}/${interfaceName.replaceAll('.', ':')}`;
}

function interfaceOfPin(name: string): string {
  return name.replaceAll(':', '.');
}

/**
 * Puts the program on an interface: through the pinned link of the agent before when that still holds the device (one
 * exchange, no packet lost), else by a new link, native first.
 */
export function attach(
  program: BpfProgram,
  pins: Pins,
  device: { name: string; ifindex: number },
  wanted: 'auto' | XdpMode,
): Attachment {
  const path = linkPin(pins, device.name);
  const kept = existsSync(path) ? adopt(path, device.ifindex, wanted) : null;
  if (kept) {
    kept.link.update(program);
    return { interface: device.name, ifindex: device.ifindex, mode: kept.mode, fallbackReason: '', link: kept.link };
  }
  const { link, mode, fallbackReason } = attachNew(program, device, wanted);
  try {
    link.pin(path);
  } catch (error) {
    // Unpinned it would forward until this process ends, and be in the way of the next attempt.
    link.close();
    throw error;
  }
  return { interface: device.name, ifindex: device.ifindex, mode, fallbackReason, link };
}

/** A pin whose device is gone, or whose mode is not the one asked for, is removed. */
function adopt(path: string, ifindex: number, wanted: 'auto' | XdpMode): { link: BpfLink; mode: XdpMode } | null {
  const link = BpfLink.openPinned(path);
  const now = link.info.ifindex === ifindex ? queryXdp(ifindex) : null;
  if (now && now.mode !== 'offload' && (wanted === 'auto' || wanted === now.mode)) return { link, mode: now.mode };
  if (link.info.ifindex !== 0) link.detach();
  link.close();
  rmSync(path);
  return null;
}

function attachNew(
  program: BpfProgram,
  device: { name: string; ifindex: number },
  wanted: 'auto' | XdpMode,
): { link: BpfLink; mode: XdpMode; fallbackReason: string } {
  if (wanted === 'generic') return { link: attachAs(program, device, 'generic'), mode: 'generic', fallbackReason: '' };
  try {
    return { link: program.attachXdp(device.ifindex, 'native'), mode: 'native', fallbackReason: '' };
  } catch (error) {
    const { code, message, log } = error as NativeError;
    if (wanted === 'native' || code === 'EBUSY') throw explain(error as NativeError, device.name);
    const fallbackReason = `native: ${code ?? message}${log ? ` (${log.trim()})` : ''}`;
    return { link: attachAs(program, device, 'generic'), mode: 'generic', fallbackReason };
  }
}

function attachAs(program: BpfProgram, device: { name: string; ifindex: number }, mode: XdpMode): BpfLink {
  try {
    return program.attachXdp(device.ifindex, mode);
  } catch (error) {
    throw explain(error as NativeError, device.name);
  }
}

function explain(error: NativeError, name: string): Error {
  const remedy =
    error.code === 'EBUSY'
      ? `another XDP program is on ${name} (see it with: ip link show dev ${name}): take it off first`
      : `${error.code}: ${error.message}`;
  return new Error(`interfaces: cannot attach to ${name}: ${remedy}`, { cause: error });
}

/** Takes the program off every interface and removes the instance's pins. Returns the interfaces. */
export function detachAll(pins: Pins): string[] {
  const names = detachAllBut(pins, []);
  rmSync(pins.root, { recursive: true, force: true });
  return names.map((name) => name.replaceAll(':', '.'));
}

/** Takes the program off where it is not wanted any more. Returns the interfaces; those that are gone are not told. */
export function detachAllBut(pins: Pins, wanted: readonly string[]): string[] {
  const pinned = existsSync(pins.link) ? readdirSync(pins.link).map(interfaceOfPin) : [];
  return pinned.filter((name) => !wanted.includes(name) && dropPin(linkPin(pins, name)));
}

/** A namespace or device that is deleted under a pinned link leaves a pin that holds nothing: false. */
function dropPin(path: string): boolean {
  const link = BpfLink.openPinned(path);
  const held = link.info.ifindex !== 0;
  if (held) link.detach();
  link.close();
  rmSync(path);
  return held;
}
