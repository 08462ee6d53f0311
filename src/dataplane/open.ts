import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import * as abi from '../abi/abi.generated.js';
import { UnavailableError } from '../base/errors.js';
import { limitRows } from '../compile/ids.js';
import { type BpfMap, BpfObject, type BpfProgram, isBpffs, mountBpffs, possibleCpus } from './addon.js';
import { kernelName, LayoutError, type MapName, mapNames, openPinnedMaps, type Pins, pinnedMaps } from './layout.js';

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

export interface OpenOptions {
  readonly pins: Pins;
  readonly bpffs: string;
  readonly objectFile: string;
  readonly sizes: Sizes;
  /** Frames may not be linear (MTU above what one page holds). */
  readonly frags: boolean;
}

export interface OpenedMaps {
  readonly maps: Readonly<Record<MapName, BpfMap>>;
  readonly program: BpfProgram;
  /** The maps were there already: sessions and control state are those of the agent before. */
  readonly adopted: boolean;
  /** What the configuration asks for and the adopted maps do not have. */
  readonly differences: readonly string[];
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

/** Takes over the pinned maps, makes those that are missing, and loads a fresh program on them. Attaches nothing. */
export function openMaps(options: OpenOptions): OpenedMaps {
  ensureBpffs(options.bpffs);
  const { pins } = options;
  for (const directory of [pins.map, pins.prog, pins.link]) mkdirSync(directory, { recursive: true });
  const pinned = openPinnedMaps(pins);
  const adopted = pinned.size === mapNames.length;
  if (pinned.size > 0 && !adopted) {
    refuseIfAttached(pins, pinned);
    /* A start that was cut short: nothing was attached yet, or the detach was. */
    for (const [name, map] of pinned) {
      map.close();
      rmSync(`${pins.map}/${name}`);
    }
    pinned.clear();
  }
  const wanted = mapSizes(options.sizes);
  const sizes = adopted
    ? (Object.fromEntries(mapNames.map((name) => [name, pinned.get(name)!.info.maxEntries])) as Record<MapName, number>)
    : wanted;
  const object = load(options, sizes, { pinned: adopted });
  const maps = Object.fromEntries(mapNames.map((name) => [name, object.map(kernelName(name))])) as Record<
    MapName,
    BpfMap
  >;
  if (!adopted) for (const name of mapNames) maps[name].pin(`${pins.map}/${name}`);
  const program = object.program('lb');
  object.close();
  for (const map of pinned.values()) map.close();
  return { maps, program, adopted, differences: adopted ? sizeDifferences(sizes, wanted) : [] };
}

/** A program that is attached works on these maps: to begin anew would cost every session. */
function refuseIfAttached(pins: Pins, present: ReadonlyMap<MapName, BpfMap>): void {
  const attached = readdirSync(pins.link);
  if (attached.length === 0) return;
  const missing = mapNames.filter((name) => !present.has(name)).map((name) => `${pins.map}/${name}`);
  throw new LayoutError(
    `${missing.join(', ')} is missing, but the program is attached (${attached.join(', ')}): run the agent that made ` +
      'the maps, or detach it (spillwayd --detach with this --config: traffic to its VIPs stops) and start again.',
  );
}

type LoadOptions = Pick<OpenOptions, 'pins' | 'objectFile' | 'frags'>;

function load(
  options: LoadOptions,
  sizes: Record<MapName, number>,
  { pinned, captureBytes = 0 }: { pinned: boolean; captureBytes?: number },
): BpfObject {
  const capture = captureBytes > 0;
  const rodata = new Uint8Array(abi.lbConfigSize);
  abi.writeLbConfig(new DataView(rodata.buffer), 0, {
    buckets: sizes.sessions,
    sourceCells: sizes.sources,
    frags: options.frags ? 1 : 0,
    capture: capture ? 1 : 0,
    fragmentBuckets: sizes.fragments,
  });
  const names = mapNames.map((name) => [kernelName(name), name] as const);
  return BpfObject.load(options.objectFile, {
    rodata: { config: rodata },
    maxEntries: {
      ...Object.fromEntries(names.map(([kernel, name]) => [kernel, sizes[name]])),
      ...(capture ? { [captureMaps.packets]: captureBytes } : {}),
    },
    reuse: pinned ? Object.fromEntries(names.map(([kernel, name]) => [kernel, `${options.pins.map}/${name}`])) : {},
    frags: options.frags,
  });
}

/** Maps of a capture, by their names in the kernel: pinned nowhere, gone with the program. */
const captureMaps = {
  filter: 'capture_filter_v2',
  state: 'capture_state_v2',
  packets: 'captures_v2',
} as const;

/** A second copy of the program on the same pinned maps, which hands packets over as it decides about them. */
export interface CaptureProgram {
  readonly program: BpfProgram;
  readonly filter: BpfMap;
  readonly state: BpfMap;
  /** Ring of struct captured_packet. */
  readonly packets: BpfMap;
  close(): void;
}

const CAPTURE_RING_BYTES = 4 * 1024 * 1024;

/** Loads it; attaches nothing. @throws NativeError with the verifier's words. */
export function openCapture(options: LoadOptions): CaptureProgram {
  const pinned = openPinnedMaps(options.pins);
  const sizes = Object.fromEntries(mapNames.map((name) => [name, pinned.get(name)!.info.maxEntries]));
  for (const map of pinned.values()) map.close();
  const object = load(options, sizes as Record<MapName, number>, { pinned: true, captureBytes: CAPTURE_RING_BYTES });
  const program = object.program('lb');
  const [filter, state, packets] = [captureMaps.filter, captureMaps.state, captureMaps.packets].map((name) =>
    object.map(name),
  ) as [BpfMap, BpfMap, BpfMap];
  object.close();
  return {
    program,
    filter,
    state,
    packets,
    close: () => {
      for (const handle of [program, filter, state, packets]) handle.close();
    },
  };
}

function sizeDifferences(have: Record<MapName, number>, want: Record<MapName, number>): string[] {
  const settings: readonly (readonly [MapName, string])[] = [
    ['sessions', 'limits.sessions'],
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
