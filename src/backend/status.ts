import { existsSync } from 'node:fs';
import type { Ip } from '../base/ip.js';
import { inspect } from './attachment.js';
import { type Check, checkHost } from './checks.js';
import { type HostInterface, readInterfaces, readIpv4Setting } from './host.js';
import { listInstances, type Pins, pinnedInterfaces, pinsOf } from './pins.js';
import { formatPrefix } from './prefix.js';
import { type Count, readCounts, readRules } from './program.js';

export interface InstanceStatus {
  readonly instance: string;
  readonly interface: string;
  /** attached; gone: the interface was deleted; elsewhere: in another network namespace; none: not attached. */
  readonly state: 'attached' | 'gone' | 'elsewhere' | 'none';
  readonly mode: 'native' | 'generic' | 'offload' | null;
  readonly programId: number | null;
  readonly macs: readonly string[];
  /** Empty: any. */
  readonly from: readonly string[];
  readonly vips: readonly Ip[];
  readonly counters: readonly Count[];
  readonly checks: readonly Check[];
}

export interface StatusOptions {
  /** Null: every instance of this network namespace, and those whose interface was deleted. */
  readonly instance: string | null;
  /** Null: whatever the interface. */
  readonly interface: string | null;
  /** To be checked besides those that the program was given. */
  readonly vips: readonly Ip[];
}

export function status(options: StatusOptions): readonly InstanceStatus[] {
  const instances = options.instance === null ? listInstances() : [options.instance];
  const interfaces = readInterfaces();
  return instances
    .flatMap((instance) => {
      const pins = pinsOf(instance);
      return pinnedInterfaces(pins).map((name) => describe(name, { instance, pins, interfaces, vips: options.vips }));
    })
    .filter((found) => options.interface === null || found.interface === options.interface)
    .filter((found) => options.instance !== null || found.state !== 'elsewhere');
}

interface Scene {
  readonly instance: string;
  readonly pins: Pins;
  readonly interfaces: readonly HostInterface[];
  readonly vips: readonly Ip[];
}

function describe(name: string, { instance, pins, interfaces, vips: asked }: Scene): InstanceStatus {
  const target = interfaces.find((candidate) => candidate.name === name) ?? null;
  const attachment = inspect(pins, { name, ifindex: target?.ifindex ?? null });
  const complete = [pins.config, pins.sources, pins.vips].every((path) => existsSync(path));
  const rules = complete ? readRules(pins) : { macs: [], from: [], vips: [] };
  const common = {
    instance,
    interface: name,
    macs: rules.macs,
    from: rules.from.map(formatPrefix).sort(),
    vips: [...rules.vips].sort(),
    counters: existsSync(pins.counters) ? readCounts(pins.counters) : [],
  };
  if (attachment.state !== 'attached' || target === null) {
    const state = attachment.state === 'attached' ? 'none' : attachment.state;
    return { ...common, state, mode: null, programId: null, checks: [notHere(state, { instance, name })] };
  }
  const vips = [...new Set([...rules.vips, ...asked])];
  const { mode, programId } = attachment;
  const checks = checkHost({ target, interfaces, mode, rules, vips, ipv4Setting: readIpv4Setting });
  const cut: readonly Check[] = attachment.whole && complete ? [] : [cutShort(name)];
  return { ...common, state: 'attached', mode, programId, checks: [...cut, ...checks] };
}

function notHere(
  state: 'gone' | 'elsewhere' | 'none',
  at: { readonly instance: string; readonly name: string },
): Check {
  const detach = `spillway backend detach --instance ${at.instance}`;
  switch (state) {
    case 'gone':
      return {
        name: 'attached',
        level: 'warn',
        detail: `${at.name} was deleted, or the program taken off by other means: only pins are left`,
        remedy: detach,
      };
    case 'elsewhere':
      return { name: 'attached', level: 'warn', detail: 'in another network namespace', remedy: '' };
    case 'none':
      return {
        name: 'attached',
        level: 'fail',
        detail: 'no program on the interface',
        remedy: `spillway backend attach --interface ${at.name} --instance ${at.instance}`,
      };
  }
}

function cutShort(name: string): Check {
  return {
    name: 'pins',
    level: 'fail',
    detail: 'the last attach was cut short: lists and program are of two attaches',
    remedy: `spillway backend attach --interface ${name}, with the wanted lists`,
  };
}
