import { existsSync, rmSync } from 'node:fs';
import type { Ip } from '../base/ip.js';
import { type BpfObject, BpfProgram, queryXdp, type XdpMode } from '../dataplane/addon.js';
import { type Attachment, inspect } from './attachment.js';
import { BackendError } from './errors.js';
import { type HostInterface, loopbackVips, readInterfaces } from './host.js';
import { checkMappings, formatMapping, mappedVips, type PortMapping } from './mapping.js';
import {
  exchangedPins,
  linkPin,
  type Pins,
  pinnedInterfaces,
  pinsOf,
  preparePins,
  promote,
  removePins,
} from './pins.js';
import { type Placed, place } from './place.js';
import type { Prefix } from './prefix.js';
import { type CarriedMap, carriedMaps, listMaps, loadDecap, mapNames, withMap } from './program.js';
import { attachReplies, detachReplies, refuseForeignReplies, replyInterfaces } from './replies.js';
import type { Clamp, Rules } from './rules.js';

export interface AttachOptions {
  readonly interface: string;
  readonly instance: string;
  readonly mode: 'auto' | XdpMode;
  readonly from: readonly Prefix[];
  /** Empty: whatever the destination is stripped, and what is on lo is counted. */
  readonly vips: readonly Ip[];
  readonly mappings: readonly PortMapping[];
  readonly exempt: readonly Prefix[];
  /** UDP; null: GUE is not stripped. */
  readonly guePort: number | null;
  readonly clamp: Clamp;
  /** Interfaces that replies leave by; empty: the one that requests come in by. */
  readonly out: readonly string[];
}

export interface AttachResult extends Placed {
  readonly instance: string;
  readonly interface: string;
  readonly programId: number;
  /** Whose replies are counted, mapped and clamped; by these interfaces. */
  readonly vips: readonly Ip[];
  readonly out: readonly string[];
}

/** Loads the programs with these rules and puts them in place, or in the place of those that are there. */
export function attach(options: AttachOptions): AttachResult {
  const interfaces = readInterfaces();
  const target = findInterface(options.interface, interfaces);
  const outNames = options.out.length === 0 ? [target.name] : [...new Set(options.out)];
  const out = outNames.map((name) => findInterface(name, interfaces));
  const rules = makeRules(options, target, interfaces);
  const pins = pinsOf(options.instance);
  preparePins(pins, options.instance);
  try {
    const before = inspect(pins, target);
    refuseForeign(options, target, before, pins);
    refuseForeignReplies(pins, out);
    return exchange(options, { target, pins, before, rules, out, interfaces });
  } catch (error) {
    for (const path of exchangedPins(pins)) rmSync(`${path}-new`, { force: true });
    if (pinnedInterfaces(pins).length === 0) removePins(pins);
    throw error;
  }
}

type EthernetInterface = HostInterface & { readonly mac: string };

interface Scene {
  readonly target: EthernetInterface;
  readonly pins: Pins;
  readonly before: Attachment;
  readonly rules: Rules;
  readonly out: readonly HostInterface[];
  readonly interfaces: readonly HostInterface[];
}

function makeRules(options: AttachOptions, target: EthernetInterface, interfaces: readonly HostInterface[]): Rules {
  const mappings = checkMappings(options.mappings);
  for (const mapping of mappings) {
    if (interfaces.some(({ addresses }) => addresses.includes(mapping.host))) continue;
    throw new BackendError(
      `--map ${formatMapping(mapping)}: ${mapping.host} is not an address of this host`,
      `Add it first: ip address add ${mapping.host}${mapping.host.includes(':') ? '/64' : '/24'} dev ${target.name}`,
    );
  }
  const named = options.vips.length > 0 ? options.vips : loopbackVips(interfaces);
  return {
    macs: [target.mac],
    ifindex: target.ifindex,
    from: options.from,
    onlyVips: options.vips.length > 0,
    vips: [...new Set([...named, ...mappedVips(mappings)])],
    mappings,
    exempt: options.exempt,
    guePort: options.guePort,
    clamp: options.clamp,
  };
}

/**
 * Replies first: they must be mapped back before the first request is mapped. When the interface then takes no
 * program, they get back what they had.
 */
function exchange(options: AttachOptions, scene: Scene): AttachResult {
  const { target, pins, before, rules, out, interfaces } = scene;
  const object = loadDecap(rules, reusableMaps(pins));
  try {
    const decap = object.program('decap');
    const reply = object.program('reply');
    const had = replyInterfaces(pins, interfaces);
    pinAside(pins, object, { decap, reply });
    const placed = undoing(
      () => restoreReplies(pins, had, out),
      () => {
        attachReplies(reply, out);
        const pin = linkPin(pins, target.name);
        return place(decap, { wanted: options.mode, target, before, pin, programPin: pins.decap });
      },
    );
    for (const path of exchangedPins(pins)) promote(path);
    detachReplies(had.filter(({ name }) => !out.some((kept) => kept.name === name)));
    const { instance } = options;
    const names = out.map(({ name }) => name);
    return { instance, interface: target.name, programId: decap.info.id, ...placed, vips: rules.vips, out: names };
  } finally {
    object.close();
  }
}

function undoing<T>(undo: () => void, step: () => T): T {
  try {
    return step();
  } catch (error) {
    undo();
    throw error;
  }
}

function restoreReplies(pins: Pins, had: readonly HostInterface[], now: readonly HostInterface[]): void {
  if (had.length > 0 && existsSync(pins.reply)) {
    const old = BpfProgram.openPinned(pins.reply);
    try {
      attachReplies(old, had);
    } finally {
      old.close();
    }
  }
  detachReplies(now.filter(({ name }) => !had.some((kept) => kept.name === name)));
}

function findInterface(name: string, interfaces: readonly HostInterface[]): EthernetInterface {
  const target = interfaces.find((candidate) => candidate.name === name);
  if (!target) {
    const known = interfaces.map((candidate) => candidate.name).join(', ');
    throw new BackendError(`no interface ${name} in this network namespace`, `There are: ${known}.`);
  }
  const { mac } = target;
  if (mac === null)
    throw new BackendError(`interface ${name} has no Ethernet address`, 'Choose an Ethernet interface.');
  return { ...target, mac };
}

function refuseForeign(options: AttachOptions, target: HostInterface, before: Attachment, pins: Pins): void {
  const { instance } = options;
  const choose = 'Choose another --instance.';
  if (before.state === 'elsewhere') {
    throw new BackendError(
      `instance ${instance} is attached to ${target.name} of another network namespace, or of an interface before this one`,
      choose,
    );
  }
  const [other] = pinnedInterfaces(pins).filter((name) => name !== target.name);
  if (other !== undefined) {
    throw new BackendError(
      `instance ${instance} is attached to ${other}`,
      `Detach it first (spillway backend detach --instance ${instance}), or choose another --instance.`,
    );
  }
  const present = before.state === 'attached' ? null : queryXdp(target.ifindex);
  if (present) {
    throw new BackendError(
      `interface ${target.name} has an XDP program already (id ${present.programId}, ${present.mode})`,
      `See \`bpftool net show dev ${target.name}\`; remove it with its own tool, or \`ip link set dev ${target.name} xdp off\`.`,
    );
  }
}

/** The pins of maps to go on with; those of another layout are given up, all together. */
function reusableMaps(pins: Pins): Partial<Record<CarriedMap, string>> {
  const isOurs = (map: CarriedMap) =>
    existsSync(pins.carried[map]) && withMap(pins.carried[map], ({ info }) => info.name) === mapNames[map];
  if (carriedMaps.every(isOurs)) return pins.carried;
  for (const map of carriedMaps) rmSync(pins.carried[map], { force: true });
  return {};
}

/** Beside what is in force, so that a crash at any point leaves a program with its own maps. */
function pinAside(
  pins: Pins,
  object: BpfObject,
  { decap, reply }: { readonly decap: BpfProgram; readonly reply: BpfProgram },
): void {
  const aside = (path: string, target: { pin(path: string): void }) => {
    rmSync(`${path}-new`, { force: true });
    target.pin(`${path}-new`);
  };
  for (const map of carriedMaps) {
    if (!existsSync(pins.carried[map])) object.map(mapNames[map]).pin(pins.carried[map]);
  }
  aside(pins.decap, decap);
  aside(pins.reply, reply);
  for (const map of listMaps) aside(pins.lists[map], object.map(mapNames[map]));
  aside(pins.lists.config, object.map('.rodata'));
}
