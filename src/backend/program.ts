import { fileURLToPath } from 'node:url';
import {
  DecapReason,
  decapConfigSize,
  decapSourceSize,
  readDecapConfig,
  readDecapSource,
  writeDecapConfig,
  writeDecapSource,
} from '../abi/abi.generated.js';
import { bytesToIp, formatMac, type Ip, ipToBytes, parseMac } from '../base/ip.js';
import { BpfMap, BpfObject, isNativeError, type LoadOptions } from '../dataplane/addon.js';
import { mappedBits, type Prefix, prefixFromMapped } from './prefix.js';

/** What the decapsulator is loaded with. */
export interface Rules {
  /** Frames for other addresses pass untouched: veth and promiscuous NICs show them too. */
  readonly macs: readonly string[];
  /** Empty: tunnels from anywhere are stripped. */
  readonly from: readonly Prefix[];
  /** Empty: whatever the inner destination. */
  readonly vips: readonly Ip[];
}

export interface Count {
  /** As in enum decap_reason, lower case. */
  readonly reason: string;
  readonly verdict: 'pass' | 'drop' | 'strip';
  readonly packets: bigint;
  readonly bytes: bigint;
}

export const objectPath = fileURLToPath(new URL('../../bpf/decap.bpf.o', import.meta.url));

/** Kernel names of the maps: their suffix is the layout's version. */
export const mapNames = { counters: 'decap_count_v1', sources: 'decap_from_v1', vips: 'decap_vips_v1' } as const;

const reasons = Object.entries(DecapReason)
  .filter(([name]) => name !== 'DECAP_REASON_COUNT')
  .map(([name]) => name.replace('DECAP_', '').toLowerCase());

/** @param counters pin of the counters to go on with; null = new ones. */
export function loadDecap(rules: Rules, counters: string | null): BpfObject {
  const reuse = counters === null ? {} : { reuse: { [mapNames.counters]: counters } };
  const load = (frags: boolean): BpfObject => {
    const options: LoadOptions = { ...reuse, frags, rodata: { config: encodeConfig(rules, frags) } };
    return BpfObject.load(objectPath, options);
  };
  const object = loadWithFrags(load);
  const [sources, vips] = [object.map(mapNames.sources), object.map(mapNames.vips)];
  for (const prefix of rules.from) sources.update(encodeSource(prefix), new Uint8Array(4));
  for (const vip of rules.vips) vips.update(ipToBytes(vip), new Uint8Array(4));
  return object;
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

export function encodeConfig(rules: Rules, frags: boolean): Uint8Array {
  const bytes = new Uint8Array(decapConfigSize);
  writeDecapConfig(new DataView(bytes.buffer), 0, {
    macs: rules.macs.map(macWord),
    checkSource: rules.from.length > 0 ? 1 : 0,
    checkVip: rules.vips.length > 0 ? 1 : 0,
    frags: frags ? 1 : 0,
  });
  return bytes;
}

/** Six bytes in memory order, read as the little-endian word that the program compares. */
function macWord(mac: string): bigint {
  const bytes = new Uint8Array(8);
  bytes.set(parseMac(mac)!);
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

function encodeSource(prefix: Prefix): Uint8Array {
  const bytes = new Uint8Array(decapSourceSize);
  const value = { prefixBits: mappedBits(prefix), address: ipToBytes(prefix.address) };
  writeDecapSource(new DataView(bytes.buffer), 0, value);
  return bytes;
}

/** What a running program was loaded with, from its pinned maps. */
export function readRules(pins: { readonly config: string; readonly sources: string; readonly vips: string }): Rules {
  return {
    macs: withMap(pins.config, readMacs),
    from: withMap(pins.sources, (map) =>
      keysOf(map).map((key) => {
        const { prefixBits, address } = readDecapSource(viewOf(key), 0);
        return prefixFromMapped(address, prefixBits);
      }),
    ),
    vips: withMap(pins.vips, (map) => keysOf(map).map(bytesToIp)),
  };
}

function readMacs(config: BpfMap): readonly string[] {
  const value = config.lookup(new Uint8Array(4));
  if (value === null) return [];
  return readDecapConfig(viewOf(value), 0)
    .macs.filter((word) => word !== 0n)
    .map((word) => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, word, true);
      return formatMac(bytes);
    });
}

export function readCounts(path: string): readonly Count[] {
  const words = withMap(path, (map) => map.sumRange(0, 1));
  return reasons.map((reason, index) => ({
    reason,
    verdict: reason.startsWith('stripped') ? 'strip' : reason.startsWith('drop') ? 'drop' : 'pass',
    packets: words[index * 2] ?? 0n,
    bytes: words[index * 2 + 1] ?? 0n,
  }));
}

export function withMap<T>(path: string, read: (map: BpfMap) => T): T {
  const map = BpfMap.openPinned(path);
  try {
    return read(map);
  } finally {
    map.close();
  }
}

function keysOf(map: BpfMap): readonly Uint8Array[] {
  const { count, keys } = map.entries();
  const size = map.info.keySize;
  return Array.from({ length: count }, (_, i) => keys.slice(i * size, (i + 1) * size));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
