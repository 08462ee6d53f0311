import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import type * as abi from '../abi/abi.generated.js';
import { UnavailableError } from '../base/errors.js';
import { limitRows } from '../compile/ids.js';
import { type BpfMap, type BpfProgram, isBpffs, mountBpffs, possibleCpus } from './addon.js';
import {
  isAddition,
  kernelName,
  LayoutError,
  type MapName,
  mapNames,
  openPinnedMaps,
  type Pins,
  pinnedMaps,
} from './layout.js';
import { type LoadOptions, loadOn, pinOf } from './load.js';
import { type Migration, type MigrationStep, migrate, needsMigration, resumeMigration } from './migration.js';

export interface Sizes {
  readonly sessions: number;
  readonly services: number;
  readonly backends: number;
  readonly pools: number;
  readonly vips: number;
  /** Datagrams in fragments that are under way at once. */
  readonly fragments: number;
  readonly accessListEntries: number;
  readonly sourceCells: number;
}

export interface OpenOptions extends LoadOptions {
  readonly bpffs: string;
  readonly sizes: Sizes;
  readonly clock: { now(): number };
  /** Told after each step of a migration; what it throws ends the start there. */
  readonly onStep?: (step: MigrationStep) => void;
}

export interface OpenedMaps {
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly program: BpfProgram;
  /** The maps were there already: sessions and control state are those of the agent before. */
  readonly adopted: boolean;
  /** What the configuration asks for and the adopted maps do not have. */
  readonly differences: readonly string[];
  /** Sessions were brought into a table of another size or layout, and the program on it is attached already. */
  readonly migration: Migration | null;
}

/** Listeners with QUIC configurations of their own, and one: number 0 is none. */
const QUIC_ROUTINGS = 256;
/** MAX_EGRESSES of bpf/abi_types.h. */
const MAX_EGRESSES = 1024;
/** Pools that change at once each need a table beside the one in use. */
const SPARE_TABLES = 64;
/** Two choices of four slots and moving entries hold to 80 % with no live session evicted: see bpf/README.md. */
const MAX_LOAD = 0.8;

export function bucketsFor(sessions: number): number {
  return Math.max(2, Math.ceil(sessions / MAX_LOAD / 4));
}

export function mapSizes(sizes: Sizes): Record<MapName, number> {
  const buckets = bucketsFor(sizes.sessions);
  return {
    settings: 1,
    vip_filter: 1,
    vips: sizes.services + sizes.vips,
    services: sizes.services + 1,
    pools: sizes.pools + 1,
    maglev: sizes.pools + Math.max(SPARE_TABLES, sizes.pools >> 3),
    backends: sizes.backends + 1,
    turns: sizes.pools + 1,
    loads: sizes.backends + 1,
    quic_routes: QUIC_ROUTINGS,
    quic_servers: sizes.backends,
    aes: 1,
    egresses: MAX_EGRESSES,
    // A list that is made anew stands beside the one before.
    access: 2 * sizes.accessListEntries,
    limits: limitRows(sizes.services),
    refusals: limitRows(sizes.services),
    sources: sizes.sourceCells,
    sessions: buckets,
    details: buckets * 4,
    session_log: possibleCpus(),
    fragments: Math.ceil(sizes.fragments / 4),
    svc_counters: sizes.services + 1,
    be_counters: sizes.backends + 1,
    counters: 1,
    events: 256 * 1024,
  };
}

/** Takes over the pinned maps, makes those that are missing, and loads a fresh program on them. */
export function openMaps(options: OpenOptions): OpenedMaps {
  ensureBpffs(options.bpffs);
  const { pins } = options;
  for (const directory of [pins.map, pins.prog, pins.link]) mkdirSync(directory, { recursive: true });
  const wanted = mapSizes(options.sizes);
  resumeMigration(options, wanted);
  const pinned = openPinnedMaps(pins);
  const adopted = isWhole(pinned);
  if (pinned.size > 0 && !adopted) {
    refuseIfAttached(pins, pinned);
    /* A start that was cut short: nothing was attached yet, or the detach was. */
    for (const [name, map] of pinned) {
      map.close();
      rmSync(pinOf(pins, name));
    }
    pinned.clear();
  }
  const have = Object.fromEntries([...pinned].map(([name, map]) => [name, map.info.maxEntries]));
  const sizes: Record<MapName, number> = { ...wanted, ...have };
  const moved = adopted && needsMigration(pinned, wanted) ? migrate(options, pinned, sizes, wanted) : null;
  const object = moved?.object ?? loadOn(options, { sizes, reuse: pinsOfAll(pins, pinned.keys()) });
  const maps = Object.fromEntries(mapNames.map((name) => [name, object.map(kernelName(name))])) as Record<
    MapName,
    BpfMap
  >;
  for (const name of mapNames) if (!existsSync(pinOf(pins, name))) maps[name].pin(pinOf(pins, name));
  const program = object.program('lb');
  object.close();
  for (const map of pinned.values()) map.close();
  const differences = [...(moved?.refusal ? [moved.refusal] : []), ...(adopted ? sizeDifferences(sizes, wanted) : [])];
  return { maps, program, adopted, differences, migration: moved?.migration ?? null };
}

/** What has been added since the first layout may be missing: then it is made, and everything else is as it was. */
function isWhole(pinned: ReadonlyMap<MapName, BpfMap>): boolean {
  return pinned.size > 0 && mapNames.every((name) => pinned.has(name) || isAddition(name));
}

function pinsOfAll(pins: Pins, names: Iterable<MapName>): Partial<Record<MapName, string>> {
  return Object.fromEntries([...names].map((name) => [name, pinOf(pins, name)]));
}

/** A program that is attached works on these maps: to begin anew would cost every session. */
function refuseIfAttached(pins: Pins, present: ReadonlyMap<MapName, BpfMap>): void {
  const attached = readdirSync(pins.link);
  if (attached.length === 0) return;
  const missing = mapNames
    .filter((name) => !present.has(name) && !isAddition(name))
    .map((name) => `${pins.map}/${name}`);
  throw new LayoutError(
    `${missing.join(', ')} is missing, but the program is attached (${attached.join(', ')}): run the agent that made ` +
      'the maps, or detach it (spillwayd --detach with this --config: traffic to its VIPs stops) and start again.',
  );
}

function sizeDifferences(have: Record<MapName, number>, want: Record<MapName, number>): string[] {
  const settings: readonly (readonly [MapName, string])[] = [
    ['services', 'limits.services'],
    ['backends', 'limits.backends'],
    ['pools', 'limits.backendGroups'],
    ['fragments', 'limits.fragments'],
    ['access', 'limits.accessListEntries'],
    ['sources', 'limits.sourceCells'],
  ];
  return settings
    .filter(([name]) => have[name] !== want[name])
    .map(
      ([name, setting]) =>
        `${setting} asks for a table of ${want[name]}, the pinned one has ${have[name]}: it takes effect after a detach`,
    );
}

/** The new program takes the old one's place in prog/lb in one step, so that the pin is never absent. */
export function pinProgram(program: BpfProgram, pins: Pins): void {
  const fresh = `${pins.prog}/lb_new`;
  if (existsSync(fresh)) rmSync(fresh);
  program.pin(fresh);
  renameSync(fresh, `${pins.prog}/lb`);
}

function ensureBpffs(root: string): void {
  if (existsSync(root) && isBpffs(root)) return;
  try {
    mkdirSync(root, { recursive: true });
    mountBpffs(root);
  } catch (error) {
    throw new UnavailableError(`no bpffs at ${root}: mount one (mount -t bpf bpf ${root}), as root`, { cause: error });
  }
}

export function checkSettingsLayout(settings: abi.Settings, path: string): void {
  const { version } = pinnedMaps.settings;
  if (settings.layout === version || settings.layout === 0) return;
  throw new LayoutError(`${path} says layout ${settings.layout}, this agent knows ${version}`);
}
