import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ip } from '../../base/ip.js';
import { type Attachment, inspect } from '../attachment.js';
import type { Check } from '../checks/check.js';
import { checkHost } from '../checks/host.js';
import { checkForwarding, checkIpv6 } from '../checks/kernel.js';
import { checkPaths, type PathFacts } from '../checks/paths.js';
import { checkPorts, type PortFacts } from '../checks/ports.js';
import { checkTraffic, type TrafficFacts } from '../checks/traffic.js';
import { defaultInstance } from '../defaults.js';
import { BackendError } from '../errors.js';
import { type HostInterface, loopbackVips, readInterfaces, readSetting } from '../host.js';
import { listInstances, type Pins, pinnedInterfaces, pinsOf } from '../pins.js';
import { type Count, readCounts, readRules } from '../program.js';
import { replyInterfaces } from '../replies.js';
import type { Rules } from '../rules.js';
import { readDefaultRoutes, readEphemeral, readReserved, readSockets, routeDevice } from './facts.js';

export interface DoctorOptions {
  /** Null: that of the only instance that is attached here. */
  readonly interface: string | null;
  readonly instance: string | null;
  /** To be here, besides those that the programs know. */
  readonly vips: readonly Ip[];
  readonly loadBalancers: readonly Ip[];
  /** Packets come by L2_DSR alone: no program is needed. */
  readonly dsr: boolean;
  readonly watchMs: number;
}

export interface Diagnosis {
  readonly instance: string;
  readonly interface: string;
  readonly checks: readonly Check[];
  readonly problems: number;
  readonly warnings: number;
}

type AllFacts = PathFacts & PortFacts & TrafficFacts;

/** @throws BackendError when it is not clear which interface is meant. */
export async function diagnose(options: DoctorOptions): Promise<Diagnosis> {
  const interfaces = readInterfaces();
  const { instance, target } = choose(options, interfaces);
  const pins = pinsOf(instance);
  const attachment = inspect(pins, target);
  const before = attachment.state === 'attached' ? readCounts(pins.carried.count).reasons : [];
  const startedMs = performance.now();
  if (attachment.state === 'attached') await delay(options.watchMs);
  const facts = readFacts(options, { instance, target, interfaces, pins, attachment });
  const after = attachment.state === 'attached' ? readCounts(pins.carried.count).reasons : [];
  const checks = allChecks({ ...facts, before, after, watchedMs: Math.round(performance.now() - startedMs) }, options);
  const count = (level: Check['level']) => checks.filter((check) => check.level === level).length;
  return { instance, interface: target.name, checks, problems: count('fail'), warnings: count('warn') };
}

function allChecks(facts: AllFacts, { dsr }: DoctorOptions): readonly Check[] {
  return [
    ...(facts.mode === null ? [notAttached(facts, dsr)] : []),
    // Before the VIPs: without IPv6 they cannot be added.
    ...checkIpv6(facts),
    ...checkHost(facts),
    ...checkForwarding(facts),
    ...checkPaths(facts),
    ...checkPorts(facts),
    ...checkTraffic(facts),
  ];
}

function notAttached({ target }: AllFacts, dsr: boolean): Check {
  return {
    name: 'attached',
    level: dsr ? 'ok' : 'fail',
    detail: dsr ? 'no program: L2_DSR needs none' : `no program on ${target.name}`,
    consequence: dsr
      ? ''
      : 'what comes by IPIP or GUE is lost, nothing is mapped or counted; by L2_DSR alone it is not needed (--l2-dsr)',
    remedy: dsr ? '' : `spillway backend attach --interface ${target.name}`,
  };
}

interface Chosen {
  readonly instance: string;
  readonly target: HostInterface;
}

function choose(options: DoctorOptions, interfaces: readonly HostInterface[]): Chosen {
  const named = (name: string): HostInterface => {
    const target = interfaces.find((one) => one.name === name);
    if (target !== undefined) return target;
    const known = interfaces.map((one) => one.name).join(', ');
    throw new BackendError(`no interface ${name} in this network namespace`, `There are: ${known}.`);
  };
  if (options.interface !== null) {
    const target = named(options.interface);
    return { target, instance: options.instance ?? instanceOn(target) ?? defaultInstance(target.name) };
  }
  const here = interfaces.flatMap((target) => {
    const instance = instanceOn(target);
    return instance === null || (options.instance !== null && options.instance !== instance)
      ? []
      : [{ instance, target }];
  });
  if (here.length === 1) return here[0]!;
  throw new BackendError(
    here.length === 0
      ? 'nothing is attached here'
      : `attached here: ${here.map(({ target }) => target.name).join(', ')}`,
    'Name the --interface that the load balancers send to.',
  );
}

/** The instance that is attached to it in this network namespace. */
function instanceOn(target: HostInterface): string | null {
  return (
    listInstances().find((instance) => {
      const pins = pinsOf(instance);
      return pinnedInterfaces(pins).includes(target.name) && inspect(pins, target).state === 'attached';
    }) ?? null
  );
}

interface Scene extends Chosen {
  readonly interfaces: readonly HostInterface[];
  readonly pins: Pins;
  readonly attachment: Attachment;
}

function readFacts(options: DoctorOptions, scene: Scene): Omit<AllFacts, keyof Watched> {
  const { instance, target, interfaces, pins, attachment } = scene;
  const isWhole = attachment.state === 'attached' && Object.values(pins.lists).every((path) => existsSync(path));
  const { rules, overheads } = isWhole
    ? readRules(pins.lists)
    : { rules: unattached(loopbackVips(interfaces)), overheads: new Map<Ip, number>() };
  return {
    instance,
    target,
    interfaces,
    mode: attachment.state === 'attached' ? attachment.mode : null,
    rules,
    overheads,
    out: replyInterfaces(pins, interfaces).map(({ name }) => name),
    asked: options.vips,
    setting: readSetting,
    defaultRoutes: readDefaultRoutes(),
    loadBalancers: options.loadBalancers,
    route: routeDevice,
    sockets: readSockets(),
    ephemeral: readEphemeral(),
    reserved: readReserved(),
  };
}

interface Watched {
  readonly before: readonly Count[];
  readonly after: readonly Count[];
  readonly watchedMs: number;
}

/** Without a program the VIPs on lo are those that are meant. */
function unattached(vips: readonly Ip[]): Rules {
  return {
    macs: [],
    ifindex: 0,
    from: [],
    onlyVips: false,
    vips,
    mappings: [],
    exempt: [],
    guePort: null,
    clamp: 'off',
  };
}
