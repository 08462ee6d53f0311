import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { isBpffs, mountBpffs } from '../dataplane/addon.js';
import { BackendError } from './errors.js';

export const bpffs = '/sys/fs/bpf';

export interface Pins {
  readonly root: string;
  readonly program: string;
  readonly counters: string;
  readonly sources: string;
  readonly vips: string;
  /** The program's rodata: what it was loaded with. */
  readonly config: string;
  readonly links: string;
}

/** Dots are reserved in a bpffs, and interface names (eth0.100) may hold them; a colon they may not. */
export function pinName(name: string): string {
  return name.replaceAll('.', ':');
}

export function defaultInstance(interfaceName: string): string {
  return `backend-${pinName(interfaceName)}`;
}

export function pinsOf(instance: string): Pins {
  const root = `${bpffs}/spillway/${instance}`;
  return {
    root,
    program: `${root}/prog/decap`,
    counters: `${root}/map/decap_count`,
    sources: `${root}/map/decap_from`,
    vips: `${root}/map/decap_vips`,
    config: `${root}/map/decap_config`,
    links: `${root}/link`,
  };
}

export function linkPin(pins: Pins, interfaceName: string): string {
  return `${pins.links}/${pinName(interfaceName)}`;
}

/** Names of the interfaces whose links are pinned. */
export function pinnedInterfaces(pins: Pins): readonly string[] {
  return list(pins.links).map((name) => name.replaceAll(':', '.'));
}

/** Instances of backends, whether alive or not. */
export function listInstances(): readonly string[] {
  return list(`${bpffs}/spillway`).filter((instance) => isBackend(pinsOf(instance)));
}

export function isBackend(pins: Pins): boolean {
  return existsSync(pins.program) || existsSync(pins.counters);
}

const rooms = ['prog', 'map', 'link'] as const;

export function preparePins(pins: Pins, instance: string): void {
  ensureBpffs();
  if (!isBackend(pins) && rooms.some((room) => list(`${pins.root}/${room}`).length > 0)) {
    throw new BackendError(`instance ${instance} belongs to an agent of this host`, 'Choose another --instance.');
  }
  for (const room of rooms) mkdirSync(`${pins.root}/${room}`, { recursive: true });
}

/** Puts what was pinned at `${path}-new` in the place of `path`, in one step. */
export function promote(path: string): void {
  renameSync(`${path}-new`, path);
}

/** Only what is ours: nothing of an agent that was given the same instance by mistake. */
export function removePins(pins: Pins): void {
  const links = list(pins.links).map((name) => `${pins.links}/${name}`);
  for (const path of [pins.program, pins.counters, pins.sources, pins.vips, pins.config, ...links]) {
    rmSync(path, { force: true });
    rmSync(`${path}-new`, { force: true });
  }
  for (const directory of [...rooms.map((room) => `${pins.root}/${room}`), pins.root]) removeEmpty(directory);
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // It holds something, or is not there.
  }
}

/**
 * Where no bpffs is mounted, one is, unless that mount would vanish with this process: `ip netns exec` gives it a
 * /sys and a mount namespace of its own, and the pins would detach the program as soon as it ends.
 */
function ensureBpffs(): void {
  if (isBpffs(bpffs)) return;
  if (readlinkSync('/proc/self/ns/mnt') !== readlinkSync('/proc/1/ns/mnt')) {
    throw new BackendError(
      `no bpffs is mounted at ${bpffs} in this mount namespace: what is pinned here would vanish at once`,
      'Under `ip netns exec`, use `nsenter --net=/run/netns/NAME` instead: it keeps the mounts.',
    );
  }
  mountBpffs(bpffs);
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}
