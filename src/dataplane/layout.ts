import { readdirSync } from 'node:fs';
import * as abi from '../abi/abi.generated.js';
import { BpfMap, type MapInfo } from './addon.js';

/** Of the maps together: LAYOUT_VERSION of bpf/abi_types.h, the newest that one of them has. */
export const layoutVersion = 3;

/** Pinned maps by pin name: the layout version in which each got its form (`_v2` in the kernel), and its sizes. */
export const pinnedMaps = {
  settings: { version: 2, key: 4, value: abi.settingsSize },
  vip_filter: { version: 2, key: 4, value: abi.vipFilterSize },
  vips: { version: 2, key: abi.vipKeySize, value: abi.vipValueSize },
  services: { version: 2, key: 4, value: abi.serviceSize },
  pools: { version: 2, key: 4, value: abi.poolSize },
  maglev: { version: 2, key: 4, value: abi.maglevTableSize },
  backends: { version: 2, key: 4, value: abi.backendSize },
  turns: { version: 2, key: 4, value: abi.turnSize },
  loads: { version: 2, key: 4, value: abi.loadSize },
  quic_routes: { version: 2, key: 4, value: abi.quicRoutingSize },
  quic_servers: { version: 2, key: abi.quicServerKeySize, value: abi.quicServerSize },
  aes: { version: 2, key: 4, value: abi.aesTablesSize },
  egresses: { version: 2, key: 4, value: abi.egressSize },
  access: { version: 2, key: abi.accessKeySize, value: 4 },
  limits: { version: 2, key: 4, value: abi.limitSize },
  refusals: { version: 2, key: 4, value: abi.refusalsSize },
  sources: { version: 2, key: 4, value: 8 },
  sessions: { version: 2, key: 4, value: abi.sessionBucketSize },
  details: { version: 2, key: 4, value: abi.sessionDetailSize },
  session_log: { version: 3, key: 4, value: abi.sessionLogSize },
  fragments: { version: 2, key: 4, value: abi.sessionBucketSize },
  svc_counters: { version: 2, key: 4, value: abi.trafficSize },
  be_counters: { version: 2, key: 4, value: abi.trafficSize },
  counters: { version: 2, key: 4, value: abi.lbCountersSize },
  events: { version: 2, key: 0, value: 0 },
} as const;

export type MapName = keyof typeof pinnedMaps;
export const mapNames = Object.keys(pinnedMaps) as readonly MapName[];

/** Older layouts whose content is brought into the one of today at a start (migration.ts), with their sizes. */
const convertible: Readonly<Partial<Record<MapName, readonly { version: number; key: number; value: number }[]>>> = {
  sessions: [],
  details: [],
};

export function kernelName(name: MapName): string {
  return `${name}_v${pinnedMaps[name].version}`;
}

/** The maps that every layout since 2 has; what came later may be missing beside what an older agent pinned. */
const additions: readonly MapName[] = ['session_log'];

export function isAddition(name: MapName): boolean {
  return additions.includes(name);
}

/** The pins of another layout: nothing was touched. */
export class LayoutError extends Error {
  override readonly name = 'LayoutError';
}

export interface Pins {
  readonly root: string;
  readonly map: string;
  readonly prog: string;
  readonly link: string;
}

export function pinsOf(root: string, instance: string): Pins {
  const base = `${root}/${instance}`;
  return { root: base, map: `${base}/map`, prog: `${base}/prog`, link: `${base}/link` };
}

/** Opens the pinned maps that exist. @throws LayoutError when one has another layout. */
export function openPinnedMaps(pins: Pins): Map<MapName, BpfMap> {
  let present: string[];
  try {
    present = readdirSync(pins.map);
  } catch {
    return new Map();
  }
  const maps = new Map<MapName, BpfMap>();
  for (const name of mapNames.filter((candidate) => present.includes(candidate))) {
    const path = `${pins.map}/${name}`;
    const map = BpfMap.openPinned(path);
    checkLayout(path, name, map.info);
    maps.set(name, map);
  }
  return maps;
}

/** @throws LayoutError unless it is the layout that this agent knows, or an older one that it can take over. */
export function checkLayout(path: string, name: MapName, info: MapInfo): void {
  const expected = pinnedMaps[name];
  const fits = (version: number, { key, value }: { key: number; value: number }): boolean =>
    info.name === `${name}_v${version}` && info.keySize === key && info.valueSize === value;
  if (fits(expected.version, expected)) return;
  if (convertible[name]?.some((old) => fits(old.version, old))) return;
  const found = layoutOf(info);
  throw new LayoutError(
    `${path} has layout ${found ?? 'unknown'} (${info.name}, key ${info.keySize}, value ${info.valueSize} bytes); ` +
      `this agent knows layout ${expected.version} (${kernelName(name)}, key ${expected.key}, value ${expected.value}). ` +
      'Run the agent that made it, or detach it (spillwayd --detach with this --config: traffic to its VIPs stops) and start again.',
  );
}

/** The version in a map's name. */
export function layoutOf(info: Pick<MapInfo, 'name'>): number | null {
  const version = /_v(\d+)$/.exec(info.name)?.[1];
  return version === undefined ? null : Number(version);
}
