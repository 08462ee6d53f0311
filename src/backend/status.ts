import { existsSync } from 'node:fs';
import type { Ip } from '../base/ip.js';
import { inspect } from './attachment.js';
import type { Check } from './checks/check.js';
import { checkHost } from './checks/host.js';
import { type HostInterface, readInterfaces, readSetting } from './host.js';
import { formatMapping } from './mapping.js';
import { listInstances, type Pins, pinnedInterfaces, pinsOf } from './pins.js';
import { formatPrefix } from './prefix.js';
import { type Count, type EventCount, readCounts, readRules, readUsageOf } from './program.js';
import { replyInterfaces } from './replies.js';
import type { Clamp, Rules } from './rules.js';

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
  /** Whose traffic is counted. */
  readonly vips: readonly Ip[];
  /** What goes elsewhere is not stripped. */
  readonly onlyVips: boolean;
  readonly mappings: readonly string[];
  readonly exempt: readonly string[];
  readonly guePort: number | null;
  readonly clampMss: Clamp;
  /** Where replies are counted, mapped and clamped. */
  readonly out: readonly string[];
  readonly traffic: readonly VipTraffic[];
  readonly counters: readonly Count[];
  readonly events: readonly EventCount[];
  readonly checks: readonly Check[];
}

export interface VipTraffic {
  readonly vip: Ip;
  /** False: taken off the list by a later attach. */
  readonly listed: boolean;
  /** Bytes of the widest outer header that it came in; 0: without a tunnel, or not yet. */
  readonly overhead: number;
  readonly packetsIn: bigint;
  readonly bytesIn: bigint;
  readonly packetsOut: bigint;
  readonly bytesOut: bigint;
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

const nothing: Rules = {
  macs: [],
  ifindex: 0,
  from: [],
  onlyVips: false,
  vips: [],
  mappings: [],
  exempt: [],
  guePort: null,
  clamp: 'off',
};

function describe(name: string, { instance, pins, interfaces, vips: asked }: Scene): InstanceStatus {
  const target = interfaces.find((candidate) => candidate.name === name) ?? null;
  const attachment = inspect(pins, { name, ifindex: target?.ifindex ?? null });
  const complete = Object.values(pins.lists).every((path) => existsSync(path));
  const { rules, overheads } = complete ? readRules(pins.lists) : { rules: nothing, overheads: new Map<Ip, number>() };
  const counts = existsSync(pins.carried.count) ? readCounts(pins.carried.count) : { reasons: [], events: [] };
  const out = replyInterfaces(pins, interfaces).map((one) => one.name);
  const common = {
    instance,
    interface: name,
    macs: rules.macs,
    from: rules.from.map(formatPrefix).sort(),
    vips: rules.vips,
    onlyVips: rules.onlyVips,
    mappings: rules.mappings.map(formatMapping).sort(),
    exempt: rules.exempt.map(formatPrefix).sort(),
    guePort: rules.guePort,
    clampMss: rules.clamp,
    out,
    traffic: readTraffic(pins, overheads),
    counters: counts.reasons,
    events: counts.events,
  };
  if (attachment.state !== 'attached' || target === null) {
    const state = attachment.state === 'attached' ? 'none' : attachment.state;
    return { ...common, state, mode: null, programId: null, checks: [notHere(state, { instance, name })] };
  }
  const { mode, programId } = attachment;
  const checks = checkHost({
    instance,
    target,
    interfaces,
    mode,
    rules,
    overheads,
    out,
    asked,
    setting: readSetting,
    defaultRoutes: null,
  });
  const cut: readonly Check[] = attachment.whole && complete ? [] : [cutShort(name)];
  return { ...common, state: 'attached', mode, programId, checks: [...cut, ...checks] };
}

function readTraffic(pins: Pins, overheads: ReadonlyMap<Ip, number>): readonly VipTraffic[] {
  if (!existsSync(pins.carried.slots) || !existsSync(pins.carried.usage)) return [];
  return readUsageOf(pins.carried)
    .map(({ slot: _slot, born: _born, ...usage }) => ({
      ...usage,
      listed: overheads.has(usage.vip),
      overhead: overheads.get(usage.vip) ?? 0,
    }))
    .sort((a, b) => (a.vip < b.vip ? -1 : 1));
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
        detail: `${at.name} was deleted, or the program taken off by other means`,
        consequence: 'only pins are left',
        remedy: detach,
      };
    case 'elsewhere':
      return { name: 'attached', level: 'warn', detail: 'in another network namespace', consequence: '', remedy: '' };
    case 'none':
      return {
        name: 'attached',
        level: 'fail',
        detail: 'no program on the interface',
        consequence: 'tunnels are not stripped',
        remedy: `spillway backend attach --interface ${at.name} --instance ${at.instance}`,
      };
  }
}

function cutShort(name: string): Check {
  return {
    name: 'pins',
    level: 'fail',
    detail: 'the last attach was cut short',
    consequence: 'lists and programs are of two attaches',
    remedy: `spillway backend attach --interface ${name}, with the wanted lists`,
  };
}
