import { readdirSync } from 'node:fs';
import * as abi from '../abi/abi.generated.js';
import { BpfMap, type MapInfo } from './addon.js';

/** Raised with every change of a layout in bpf/abi_types.h; the maps' names in the kernel carry it as `_v2`. */
export const layoutVersion = 2;

/** Pinned maps by pin name, with the sizes that their layout demands. */
export const pinnedMaps = {
  settings: { key: 4, value: abi.settingsSize },
  vip_filter: { key: 4, value: abi.vipFilterSize },
  vips: { key: abi.vipKeySize, value: abi.vipValueSize },
  services: { key: 4, value: abi.serviceSize },
  pools: { key: 4, value: abi.poolSize },
  maglev: { key: 4, value: abi.maglevTableSize },
  backends: { key: 4, value: abi.backendSize },
  turns: { key: 4, value: abi.turnSize },
  loads: { key: 4, value: abi.loadSize },
  quic_routes: { key: 4, value: abi.quicRoutingSize },
  quic_servers: { key: abi.quicServerKeySize, value: abi.quicServerSize },
  aes: { key: 4, value: abi.aesTablesSize },
  egresses: { key: 4, value: abi.egressSize },
  access: { key: abi.accessKeySize, value: 4 },
  limits: { key: 4, value: abi.limitSize },
  refusals: { key: 4, value: abi.refusalsSize },
  sources: { key: 4, value: 8 },
  sessions: { key: 4, value: abi.sessionBucketSize },
  details: { key: 4, value: abi.sessionDetailSize },
  fragments: { key: 4, value: abi.sessionBucketSize },
  svc_counters: { key: 4, value: abi.trafficSize },
  be_counters: { key: 4, value: abi.trafficSize },
  counters: { key: 4, value: abi.lbCountersSize },
  events: { key: 0, value: 0 },
} as const;

export type MapName = keyof typeof pinnedMaps;
export const mapNames = Object.keys(pinnedMaps) as readonly MapName[];

export function kernelName(name: MapName): string {
  return `${name}_v${layoutVersion}`;
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

function checkLayout(path: string, name: MapName, info: MapInfo): void {
  const expected = pinnedMaps[name];
  const sameName = info.name === kernelName(name);
  if (sameName && info.keySize === expected.key && info.valueSize === expected.value) return;
  const found = /_v(\d+)$/.exec(info.name)?.[1];
  throw new LayoutError(
    `${path} has layout ${found ?? 'unknown'} (${info.name}, key ${info.keySize}, value ${info.valueSize} bytes); ` +
      `this agent knows layout ${layoutVersion} (${kernelName(name)}, key ${expected.key}, value ${expected.value}). ` +
      'Run the agent that made it, or detach it (spillwayd --detach with this --config: traffic to its VIPs stops) and start again.',
  );
}
