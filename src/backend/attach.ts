import { existsSync, rmSync } from 'node:fs';
import type { Ip } from '../base/ip.js';
import { BpfLink, type BpfObject, type BpfProgram, isNativeError, queryXdp, type XdpMode } from '../dataplane/addon.js';
import { type Attachment, inspect } from './attachment.js';
import { BackendError } from './errors.js';
import { type HostInterface, readInterfaces } from './host.js';
import { linkPin, type Pins, pinnedInterfaces, pinsOf, preparePins, promote, removePins } from './pins.js';
import type { Prefix } from './prefix.js';
import { loadDecap, mapNames, withMap } from './program.js';

export interface AttachOptions {
  readonly interface: string;
  readonly instance: string;
  readonly mode: 'auto' | XdpMode;
  readonly from: readonly Prefix[];
  readonly vips: readonly Ip[];
}

export interface AttachResult {
  readonly instance: string;
  readonly interface: string;
  readonly mode: XdpMode;
  /** How: "attached", or "replaced" without a gap, or "reattached" with one because the mode changed. */
  readonly action: 'attached' | 'replaced' | 'reattached';
  readonly programId: number;
  /** Why native XDP was not to be had; null when it was, or was not tried. */
  readonly fallback: string | null;
}

/** Loads the decapsulator with these rules and puts it on the interface, or in the place of the one that is there. */
export function attach(options: AttachOptions): AttachResult {
  const target = findInterface(options.interface);
  const pins = pinsOf(options.instance);
  preparePins(pins, options.instance);
  try {
    const before = inspect(pins, target);
    refuseForeign(options, target, before, pins);
    return exchange(options, { target, pins, before });
  } catch (error) {
    for (const path of pinnedAside(pins)) rmSync(`${path}-new`, { force: true });
    if (pinnedInterfaces(pins).length === 0) removePins(pins);
    throw error;
  }
}

interface Scene {
  readonly target: HostInterface & { readonly mac: string };
  readonly pins: Pins;
  readonly before: Attachment;
}

function exchange(options: AttachOptions, { target, pins, before }: Scene): AttachResult {
  const rules = { macs: [target.mac], from: options.from, vips: options.vips };
  const object = loadDecap(rules, reusableCounters(pins));
  try {
    const program = object.program('decap');
    pinAside(pins, object, program);
    const placed = place(program, { options, target, before, pin: linkPin(pins, target.name) });
    for (const path of pinnedAside(pins)) promote(path);
    return { instance: options.instance, interface: target.name, programId: program.info.id, ...placed };
  } finally {
    object.close();
  }
}

function findInterface(name: string): HostInterface & { readonly mac: string } {
  const interfaces = readInterfaces();
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

/** The pin of counters to go on with; those of another layout are given up. */
function reusableCounters(pins: Pins): string | null {
  if (!existsSync(pins.counters)) return null;
  if (withMap(pins.counters, (map) => map.info.name) === mapNames.counters) return pins.counters;
  rmSync(pins.counters);
  return null;
}

function pinnedAside(pins: Pins): readonly string[] {
  return [pins.program, pins.sources, pins.vips, pins.config];
}

/** Beside what is in force, so that a crash at any point leaves a program with its own maps. */
function pinAside(pins: Pins, object: BpfObject, program: BpfProgram): void {
  const aside = (path: string, pin: (path: string) => void) => {
    rmSync(`${path}-new`, { force: true });
    pin(`${path}-new`);
  };
  if (!existsSync(pins.counters)) object.map(mapNames.counters).pin(pins.counters);
  aside(pins.program, (path) => program.pin(path));
  aside(pins.sources, (path) => object.map(mapNames.sources).pin(path));
  aside(pins.vips, (path) => object.map(mapNames.vips).pin(path));
  aside(pins.config, (path) => object.map('.rodata').pin(path));
}

interface Place {
  readonly options: AttachOptions;
  readonly target: HostInterface;
  readonly before: Attachment;
  readonly pin: string;
}

function place(program: BpfProgram, at: Place): Pick<AttachResult, 'mode' | 'action' | 'fallback'> {
  const { options, before, pin } = at;
  const attached = before.state === 'attached' && before.mode !== 'offload' ? before.mode : null;
  if (attached !== null && (options.mode === 'auto' || options.mode === attached)) {
    withLink(pin, (link) => link.update(program));
    return { mode: attached, action: 'replaced', fallback: null };
  }
  if (attached !== null) withLink(pin, (link) => link.detach());
  rmSync(pin, { force: true });
  try {
    return { ...attachAndPin(program, at, options.mode), action: attached === null ? 'attached' : 'reattached' };
  } catch (error) {
    // The mode that was asked for is not to be had: better the one before than none.
    if (attached !== null) attachAndPin(program, at, attached);
    throw error;
  }
}

function attachAndPin(
  program: BpfProgram,
  { target, pin }: Place,
  wanted: AttachOptions['mode'],
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
  wanted: AttachOptions['mode'],
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
