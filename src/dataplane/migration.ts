/**
 * The session table made anew while its sessions go on: another size, or another layout. Beside the maps in force come
 * `sessions_next` and `details_next` and a program on them; what lives is copied; the links are given the new program;
 * what changed meanwhile is copied; then the pins take the places of the old ones. What a start that was cut short left
 * tells where it was:
 *
 *   details_next                  being made, or thrown away      -> thrown away
 *   details_next, sessions_next   whole; some link uses it        -> gone on with
 *                                 no link does                    -> thrown away, and begun anew
 *   sessions_next                 in force, all copied            -> renamed
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import * as abi from '../abi/abi.generated.js';
import { BpfLink, BpfMap, type BpfObject, isNativeError, migrateSessions, programMaps } from './addon.js';
import { checkLayout, kernelName, layoutOf, type MapName, openPinnedMaps, type Pins } from './layout.js';
import { type LoadOptions, loadOn, pinOf } from './load.js';

/** What has just been done. */
export type MigrationStep =
  | 'details pinned'
  | 'made'
  | 'copied'
  | 'exchanged'
  | 'caught up'
  | 'details renamed'
  | 'renamed';

export interface Migration {
  /** Slots. */
  readonly from: number;
  readonly to: number;
  /** Copied before the new program was in force, and while it was put there. */
  readonly sessions: number;
  readonly caughtUp: number;
  /** Of those that came while the program was put in force. */
  readonly noRoom: number;
  readonly tookMs: number;
}

export interface MigrationOptions extends LoadOptions {
  readonly clock: { now(): number };
  readonly onStep?: (step: MigrationStep) => void;
}

type Pair = 'sessions' | 'details';
type Sizes = Readonly<Record<MapName, number>>;

/** Before the exchange: a busy table never stands still. */
const WALKS_AHEAD = 3;
/** After it the old table is written by nobody but packets under way. */
const WALKS_AFTER = 8;
const SLOTS = 4;

const aside = (pins: Pins, name: Pair): string => `${pins.map}/${name}_next`;

/** By the layout of the table that they come from. */
const converters: Readonly<Record<number, typeof migrateSessions>> = { 2: migrateSessions };

export function needsMigration(pinned: ReadonlyMap<MapName, BpfMap>, wanted: Sizes): boolean {
  return (['sessions', 'details'] as const).some((name) => {
    const { info } = pinned.get(name)!;
    return info.maxEntries !== wanted[name] || info.name !== kernelName(name);
  });
}

/** The object is loaded on the new table, and in force; null and a refusal in words: everything is as it was. */
export function migrate(
  options: MigrationOptions,
  pinned: ReadonlyMap<MapName, BpfMap>,
  have: Sizes,
  wanted: Sizes,
): { object: BpfObject | null; migration: Migration | null; refusal: string | null } {
  const { pins, onStep } = options;
  const beganMs = performance.now();
  const sizes = { ...have, sessions: wanted.sessions, details: wanted.details };
  const object = make(options, pinned, sizes);
  if (object === null) return refuse(have, wanted, 'the kernel has no memory for both at once');
  const copy = new Copy(options, pinned);
  const copied = copy.settle(WALKS_AHEAD);
  if (copied.noRoom > 0) {
    object.close();
    throwAway(pins);
    const live = copied.changed + copied.noRoom;
    return refuse(have, wanted, `${copied.noRoom} of ${live} live sessions would find no room in it`);
  }
  onStep?.('copied');
  const after = putInForce(options, object, copy);
  const [from, to] = [have.sessions * SLOTS, wanted.sessions * SLOTS];
  const tookMs = Math.round(performance.now() - beganMs);
  return {
    object,
    migration: { from, to, sessions: copied.changed, caughtUp: after.changed, noRoom: after.noRoom, tookMs },
    refusal: null,
  };
}

function refuse(have: Sizes, wanted: Sizes, why: string): ReturnType<typeof migrate> {
  const refusal =
    `limits.sessions asks for a table of ${wanted.sessions * SLOTS} slots: ${why}. The table of ` +
    `${have.sessions * SLOTS} slots stays until a start with a greater limits.sessions`;
  return { object: null, migration: null, refusal };
}

/** Loads the program on a table of its own, with everything else shared, and pins that table aside. */
function make(options: MigrationOptions, pinned: ReadonlyMap<MapName, BpfMap>, sizes: Sizes): BpfObject | null {
  const { pins, onStep } = options;
  const kept = [...pinned.keys()].filter((name) => name !== 'sessions' && name !== 'details');
  const reuse = Object.fromEntries(kept.map((name) => [name, pinOf(pins, name)]));
  let object: BpfObject;
  try {
    object = loadOn(options, { sizes, reuse });
  } catch (error) {
    if (isNativeError(error) && error.code === 'ENOMEM') return null;
    throw error;
  }
  for (const [name, step] of [
    ['details', 'details pinned'],
    ['sessions', 'made'],
  ] as const) {
    const map = object.map(kernelName(name));
    map.pin(aside(pins, name));
    map.close();
    onStep?.(step);
  }
  return object;
}

function throwAway(pins: Pins): void {
  for (const name of ['sessions', 'details'] as const) rmSync(aside(pins, name), { force: true });
}

/** From here on there is no way back: sessions are made in the new table. */
function putInForce(options: MigrationOptions, object: BpfObject, copy: Copy): { changed: number; noRoom: number } {
  const { pins, onStep } = options;
  const program = object.program('lb');
  const heads = copy.logHeads();
  for (const link of links(pins)) {
    // A device that is gone took its attachment along.
    if (link.info.ifindex !== 0) link.update(program);
    link.close();
  }
  program.close();
  onStep?.('exchanged');
  const after = copy.settle(WALKS_AFTER);
  copy.forgetLog(heads);
  onStep?.('caught up');
  renameSync(aside(pins, 'details'), pinOf(pins, 'details'));
  onStep?.('details renamed');
  renameSync(aside(pins, 'sessions'), pinOf(pins, 'sessions'));
  onStep?.('renamed');
  // What was under way in the old program when its place was taken is done by now.
  const last = copy.settle(1);
  return { changed: after.changed + last.changed, noRoom: last.noRoom };
}

function links(pins: Pins): BpfLink[] {
  return readdirSync(pins.link).map((name) => BpfLink.openPinned(`${pins.link}/${name}`));
}

/** Ends what a start that was cut short began, or undoes it. */
export function resumeMigration(options: MigrationOptions, wanted: Sizes): void {
  const { pins } = options;
  const [sessions, details] = [existsSync(aside(pins, 'sessions')), existsSync(aside(pins, 'details'))];
  if (sessions && !details) renameSync(aside(pins, 'sessions'), pinOf(pins, 'sessions'));
  else if (sessions && isInForce(pins)) goOn(options, wanted);
  else throwAway(pins);
}

/** Some link has the new program: so shall all. */
function goOn(options: MigrationOptions, wanted: Sizes): void {
  const { pins } = options;
  const pinned = openPinnedMaps(pins);
  const sizes = { ...wanted };
  for (const [name, map] of pinned) sizes[name] = map.info.maxEntries;
  const reuse: Partial<Record<MapName, string>> = Object.fromEntries(
    [...pinned.keys()].map((name) => [name, pinOf(pins, name)]),
  );
  for (const name of ['sessions', 'details'] as const) {
    const map = BpfMap.openPinned(aside(pins, name));
    sizes[name] = map.info.maxEntries;
    map.close();
    reuse[name] = aside(pins, name);
  }
  const copy = new Copy(options, pinned);
  const object = loadOn(options, { sizes, reuse });
  putInForce(options, object, copy);
  object.close();
  for (const map of pinned.values()) map.close();
}

function isInForce(pins: Pins): boolean {
  const map = BpfMap.openPinned(aside(pins, 'sessions'));
  const { id } = map.info;
  map.close();
  return links(pins).some((link) => {
    const { ifindex, programId } = link.info;
    link.close();
    return ifindex !== 0 && (programMaps(programId)?.includes(id) ?? false);
  });
}

/** Walks from the table that is pinned to the one aside, each taking what has changed since the one before. */
class Copy {
  readonly #walk: () => ReturnType<typeof migrateSessions>;
  readonly #log: BpfMap | null;

  constructor({ pins, clock }: MigrationOptions, pinned: ReadonlyMap<MapName, BpfMap>) {
    const [sessions, details] = [pinned.get('sessions')!, pinned.get('details')!];
    const from = { sessions: sessions.mmap(), details: details.mmap() };
    const to = { sessions: mapped(pins, 'sessions'), details: mapped(pins, 'details') };
    const timeouts = timeoutsOf(pinned.get('services')!);
    const copied = new ArrayBuffer(from.sessions.byteLength);
    const convert = converters[layoutOf(sessions.info) ?? 0]!;
    this.#walk = () => convert({ from, to, nowTick: clock.now(), timeouts, copied });
    this.#log = pinned.get('session_log') ?? null;
  }

  settle(walks: number): { changed: number; noRoom: number } {
    let changed = 0;
    let noRoom = 0;
    for (let walk = 0; walk < walks; walk++) {
      const { inserted, updated, ...rest } = this.#walk();
      noRoom = rest.noRoom;
      changed += inserted;
      if (inserted + updated === 0) break;
    }
    return { changed, noRoom };
  }

  /** How far each CPU has written. */
  logHeads(): readonly bigint[] {
    const { head } = abi.sessionLogOffset;
    return this.#logs().map((log) => log.getBigUint64(head, true));
  }

  /** What nobody has read up to there are slots of the table before; what came since is mostly of the new one. */
  forgetLog(heads: readonly bigint[]): void {
    const { tail } = abi.sessionLogOffset;
    for (const [cpu, log] of this.#logs().entries()) log.setBigUint64(tail, heads[cpu]!, true);
  }

  /** Of each CPU. */
  #logs(): DataView[] {
    if (!this.#log) return [];
    const memory = this.#log.mmap();
    const cpus = memory.byteLength / abi.sessionLogSize;
    return Array.from({ length: cpus }, (_, cpu) => new DataView(memory, cpu * abi.sessionLogSize, abi.sessionLogSize));
  }
}

function mapped(pins: Pins, name: Pair): ArrayBuffer {
  const map = BpfMap.openPinned(aside(pins, name));
  checkLayout(aside(pins, name), name, map.info);
  const memory = map.mmap();
  map.close();
  return memory;
}

/** As a sweep takes them, from what the data path goes by. */
function timeoutsOf(services: BpfMap): Uint16Array {
  const view = new DataView(services.mmap());
  const count = services.info.maxEntries;
  const timeouts = new Uint16Array(count * 4);
  for (let i = 0; i < timeouts.length; i++) {
    const at = (i >> 2) * abi.serviceSize + abi.serviceOffset.timeoutTicks + (i & 3) * 2;
    timeouts[i] = view.getUint16(at, true);
  }
  return timeouts;
}
