import { fileURLToPath } from 'node:url';
import { DecapEvent, DecapReason, decapCountersOffset } from '../abi/abi.generated.js';
import type { Ip } from '../base/ip.js';
import { BpfMap, BpfObject, isNativeError, type LoadOptions } from '../dataplane/addon.js';
import { encodeFilter } from './filter.js';
import {
  decodeConfig,
  decodeMapping,
  decodePrefix,
  decodeVip,
  type Entry,
  encodeConfig,
  portEntries,
  prefixEntries,
  type Rules,
  vipEntries,
  watched,
} from './rules.js';
import { assignSlots, type CounterMaps, readUsage, type Usage } from './slots.js';

export interface Count {
  /** As in enum decap_reason, lower case. */
  readonly reason: string;
  readonly verdict: 'pass' | 'drop' | 'strip';
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface EventCount {
  /** As in enum decap_event, lower case. */
  readonly event: string;
  readonly packets: bigint;
}

export const objectPath = fileURLToPath(new URL('../../bpf/decap.bpf.o', import.meta.url));

/** Kernel names of the maps: their suffix is the layout's version. */
export const mapNames = {
  count: 'decap_count_v2',
  usage: 'decap_usage_v2',
  slots: 'decap_slots_v2',
  filter: 'decap_filter_v2',
  vips: 'decap_vips_v2',
  from: 'decap_from_v2',
  exempt: 'decap_exempt_v2',
  in: 'decap_in_v2',
  out: 'decap_out_v2',
  parts: 'decap_parts_v2',
} as const;

/** Maps that outlive an attach. */
export const carriedMaps = ['count', 'usage', 'slots'] as const;
export type CarriedMap = (typeof carriedMaps)[number];

/** Maps of one attach that are read again. */
export const listMaps = ['vips', 'from', 'exempt', 'in'] as const;

const words = (names: readonly string[], prefix: string): readonly string[] =>
  names.filter((name) => !name.endsWith('_COUNT')).map((name) => name.replace(prefix, '').toLowerCase());
const reasons = words(Object.keys(DecapReason), 'DECAP_');
const events = words(Object.keys(DecapEvent), 'DECAP_EVENT_');

/** @param carried pins of the maps to go on with; what is missing is new. */
export function loadDecap(rules: Rules, carried: Partial<Readonly<Record<CarriedMap, string>>>): BpfObject {
  const reuse = Object.fromEntries(Object.entries(carried).map(([map, pin]) => [mapNames[map as CarriedMap], pin]));
  // Without a mapping nothing is put into it, but its elements would be there.
  const maxEntries = rules.mappings.length > 0 ? {} : { [mapNames.parts]: 64 };
  const object = loadWithFrags((frags) => {
    const options: LoadOptions = { reuse, frags, maxEntries, rodata: { config: encodeConfig(rules, frags) } };
    return BpfObject.load(objectPath, options);
  });
  try {
    fill(object, rules);
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

function fill(object: BpfObject, rules: Rules): void {
  const slots = assignSlots(counterMaps(object), rules.vips);
  const put = (map: keyof typeof mapNames, entries: readonly Entry[]) => {
    const target = object.map(mapNames[map]);
    for (const [key, value] of entries) target.update(key, value);
  };
  const { inbound, outbound } = watched(rules);
  const ports = rules.mappings.map((mapping) => portEntries(mapping, slots.get(mapping.vip)!));
  put('vips', vipEntries(rules, slots));
  put('filter', [[new Uint8Array(4), encodeFilter(inbound, outbound)]]);
  put('from', prefixEntries(rules.from));
  put('exempt', prefixEntries(rules.exempt));
  put(
    'in',
    ports.map((port) => port.inbound),
  );
  put(
    'out',
    ports.map((port) => port.outbound),
  );
}

export function counterMaps(object: BpfObject): CounterMaps {
  return { slots: object.map(mapNames.slots), usage: object.map(mapNames.usage) };
}

/** Kernels before 5.18 know no frames in fragments: there, frames above a page do not reach the program. */
function loadWithFrags(load: (frags: boolean) => BpfObject): BpfObject {
  try {
    return load(true);
  } catch (error) {
    if (!isNativeError(error) || error.code !== 'EINVAL') throw error;
    return load(false);
  }
}

export type RulePins = Readonly<Record<(typeof listMaps)[number] | 'config', string>>;

/** What a running program was loaded with, from its pinned maps; and of each VIP, the widest outer header seen. */
export function readRules(pins: RulePins): { readonly rules: Rules; readonly overheads: ReadonlyMap<Ip, number> } {
  const vips = withMap(pins.vips, entriesOf).flatMap((entry) => decodeVip(entry) ?? []);
  const prefixes = (pin: string) => withMap(pin, entriesOf).map(([key]) => decodePrefix(key));
  const config = withMap(pins.config, (map) => decodeConfig(map.lookup(new Uint8Array(4))!));
  return {
    rules: {
      ...config,
      vips: vips.map(({ vip }) => vip).sort(),
      from: prefixes(pins.from),
      exempt: prefixes(pins.exempt),
      mappings: withMap(pins.in, entriesOf).map(decodeMapping),
    },
    overheads: new Map(vips.map(({ vip, overhead }) => [vip, overhead])),
  };
}

export function readCounts(path: string): {
  readonly reasons: readonly Count[];
  readonly events: readonly EventCount[];
} {
  const sums = withMap(path, (map) => map.sumRange(0, 1));
  const firstEvent = decapCountersOffset.events / 8;
  return {
    reasons: reasons.map((reason, index) => ({
      reason,
      verdict: reason.startsWith('stripped') ? 'strip' : reason.startsWith('drop') ? 'drop' : 'pass',
      packets: sums[index * 2] ?? 0n,
      bytes: sums[index * 2 + 1] ?? 0n,
    })),
    events: events.map((event, index) => ({ event, packets: sums[firstEvent + index] ?? 0n })),
  };
}

export function readUsageOf(pins: { readonly slots: string; readonly usage: string }): readonly Usage[] {
  return withMap(pins.slots, (slots) => withMap(pins.usage, (usage) => readUsage({ slots, usage })));
}

export function withMap<T>(path: string, read: (map: BpfMap) => T): T {
  const map = BpfMap.openPinned(path);
  try {
    return read(map);
  } finally {
    map.close();
  }
}

function entriesOf(map: BpfMap): readonly Entry[] {
  const { count, keys, values } = map.entries();
  const { keySize, valueSize } = map.info;
  return Array.from({ length: count }, (_, i) => [
    keys.slice(i * keySize, (i + 1) * keySize),
    values.slice(i * valueSize, (i + 1) * valueSize),
  ]);
}
