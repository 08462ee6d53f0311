import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { isBpffs, mountBpffs } from '../dataplane/addon.js';
import { pinName } from './defaults.js';
import { BackendError } from './errors.js';
import type { CarriedMap, listMaps } from './program.js';

export const bpffs = '/sys/fs/bpf';

export interface Pins {
  readonly root: string;
  /** XDP. */
  readonly decap: string;
  /** tc, on the way out. */
  readonly reply: string;
  /** Carried over from attach to attach. */
  readonly carried: Readonly<Record<CarriedMap, string>>;
  /** What the programs were loaded with: lists, and the rodata. */
  readonly lists: Readonly<Record<(typeof listMaps)[number] | 'config', string>>;
  readonly links: string;
}

export function pinsOf(instance: string): Pins {
  const root = `${bpffs}/spillway/${instance}`;
  const map = (name: string) => `${root}/map/decap_${name}`;
  return {
    root,
    decap: `${root}/prog/decap`,
    reply: `${root}/prog/reply`,
    carried: { count: map('count'), usage: map('usage'), slots: map('slots') },
    lists: { vips: map('vips'), from: map('from'), exempt: map('exempt'), in: map('in'), config: map('config') },
    links: `${root}/link`,
  };
}

/** Pinned anew by each attach, beside what is in force, and then put in its place. */
export function exchangedPins(pins: Pins): readonly string[] {
  return [pins.decap, pins.reply, ...Object.values(pins.lists)];
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
  return existsSync(pins.decap) || existsSync(pins.carried.count);
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
  for (const path of [...exchangedPins(pins), ...Object.values(pins.carried), ...links]) {
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
