import type { BpfMap, BpfProgram } from './addon.js';
import { type MapName, mapNames, openPinnedMaps } from './layout.js';
import { type LoadOptions, loadOn, pinOf } from './load.js';

/** Maps of a capture, by their names in the kernel: pinned nowhere, gone with the program. */
const captureMaps = {
  filter: 'capture_filter_v2',
  state: 'capture_state_v2',
  packets: 'captures_v2',
} as const;

/** A second copy of the program on the same pinned maps, which hands packets over as it decides about them. */
export interface CaptureProgram {
  readonly program: BpfProgram;
  readonly filter: BpfMap;
  readonly state: BpfMap;
  /** Ring of struct captured_packet. */
  readonly packets: BpfMap;
  close(): void;
}

const CAPTURE_RING_BYTES = 4 * 1024 * 1024;

/** Loads it; attaches nothing. @throws NativeError with the verifier's words. */
export function openCapture(options: LoadOptions): CaptureProgram {
  const pinned = openPinnedMaps(options.pins);
  const sizes = Object.fromEntries(mapNames.map((name) => [name, pinned.get(name)!.info.maxEntries]));
  for (const map of pinned.values()) map.close();
  const reuse = Object.fromEntries(mapNames.map((name) => [name, pinOf(options.pins, name)]));
  const object = loadOn(options, {
    sizes: sizes as Record<MapName, number>,
    reuse,
    capture: { ring: captureMaps.packets, bytes: CAPTURE_RING_BYTES },
  });
  const program = object.program('lb');
  const [filter, state, packets] = [captureMaps.filter, captureMaps.state, captureMaps.packets].map((name) =>
    object.map(name),
  ) as [BpfMap, BpfMap, BpfMap];
  object.close();
  return {
    program,
    filter,
    state,
    packets,
    close: () => {
      for (const handle of [program, filter, state, packets]) handle.close();
    },
  };
}
