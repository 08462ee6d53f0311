import * as abi from '../abi/abi.generated.js';
import { BpfObject } from './addon.js';
import { kernelName, type MapName, mapNames, type Pins } from './layout.js';

export interface LoadOptions {
  readonly pins: Pins;
  readonly objectFile: string;
  /** Frames may not be linear (MTU above what one page holds). */
  readonly frags: boolean;
}

export function pinOf(pins: Pins, name: MapName): string {
  return `${pins.map}/${name}`;
}

/** Loads the load balancer on pinned maps (`reuse`: name to path), and makes those that are not given. */
export function loadOn(
  options: LoadOptions,
  on: {
    readonly sizes: Readonly<Record<MapName, number>>;
    readonly reuse: Readonly<Partial<Record<MapName, string>>>;
    readonly capture?: { readonly ring: string; readonly bytes: number };
  },
): BpfObject {
  const { sizes, reuse, capture } = on;
  const rodata = new Uint8Array(abi.lbConfigSize);
  abi.writeLbConfig(new DataView(rodata.buffer), 0, {
    buckets: sizes.sessions,
    sourceCells: sizes.sources,
    frags: options.frags ? 1 : 0,
    capture: capture ? 1 : 0,
    fragmentBuckets: sizes.fragments,
  });
  return BpfObject.load(options.objectFile, {
    rodata: { config: rodata },
    maxEntries: {
      ...Object.fromEntries(mapNames.map((name) => [kernelName(name), sizes[name]])),
      ...(capture ? { [capture.ring]: capture.bytes } : {}),
    },
    reuse: Object.fromEntries(Object.entries(reuse).map(([name, path]) => [kernelName(name as MapName), path])),
    frags: options.frags,
  });
}
