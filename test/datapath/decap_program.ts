/** The programs of a backend in the kernel, attached to nothing: packets go through by BPF_PROG_TEST_RUN. */
import { DecapReason } from '../../src/abi/abi.generated.js';
import { counterMaps, loadDecap, mapNames } from '../../src/backend/program.js';
import type { Rules } from '../../src/backend/rules.js';
import { readUsage, type Usage } from '../../src/backend/slots.js';
import type { Ip } from '../../src/base/ip.js';
import { type BpfMap, type BpfObject, type BpfProgram, interfaceIndex } from '../../src/dataplane/addon.js';
import { ownMac } from './decap_frames.js';

const verdicts: Readonly<Record<number, string>> = { 1: 'drop', 2: 'pass' };
const tcVerdicts: Readonly<Record<number, string>> = { [0xffffffff]: 'go on', 2: 'drop' };
const reasons = Object.keys(DecapReason)
  .filter((name) => !name.endsWith('_COUNT'))
  .map((name) => name.replace('DECAP_', '').toLowerCase());

export const eventNames = [
  'mapped_in',
  'mapped_out',
  'mapped_icmp_in',
  'mapped_icmp_out',
  'mapped_later_in',
  'mapped_later_out',
  'exempt_in',
  'exempt_out',
  'mss_clamped',
  'dropped_out',
] as const;
export type EventName = (typeof eventNames)[number];

export function rulesWith(some: Partial<Rules> = {}): Rules {
  return {
    macs: [ownMac],
    ifindex: interfaceIndex('lo')!,
    from: [],
    onlyVips: false,
    vips: [],
    mappings: [],
    exempt: [],
    guePort: 6080,
    clamp: 'off',
    ...some,
  };
}

/** Of a random test; SPILLWAY_PACKETS shortens it on slow machines. */
export function randomRuns(most: number): number {
  return Math.min(most, Number(process.env['SPILLWAY_PACKETS'] ?? most));
}

export interface Ran {
  readonly verdict: string;
  readonly frame: Buffer;
  readonly reason: string;
  /** What was done beside that. */
  readonly events: readonly EventName[];
}

export class BackendPrograms {
  readonly object: BpfObject;
  readonly #decap: BpfProgram;
  readonly #reply: BpfProgram;
  readonly #counters: BpfMap;

  constructor(rules: Rules) {
    this.object = loadDecap(rules, {});
    this.#decap = this.object.program('decap');
    this.#reply = this.object.program('reply');
    this.#counters = this.object.map(mapNames.count);
  }

  /** A frame comes in. */
  run(frame: Uint8Array): Ran {
    return this.#counted(() => {
      const { retval, data } = this.#decap.testRun({ data: frame });
      return { verdict: verdicts[retval] ?? `verdict ${retval}`, frame: Buffer.from(data) };
    });
  }

  /** A frame leaves. `segments`: it is to be cut into so many, `wireBytes` in all. */
  leave(frame: Uint8Array, cut?: { readonly segments: number; readonly wireBytes: number }): Omit<Ran, 'reason'> {
    const { reason: _none, ...ran } = this.#counted(() => {
      const { retval, data } = this.#reply.testRun({ data: frame, ctx: context(cut) });
      return { verdict: tcVerdicts[retval] ?? `verdict ${retval}`, frame: Buffer.from(data) };
    });
    return ran;
  }

  #counted(run: () => { readonly verdict: string; readonly frame: Buffer }): Ran {
    const before = this.#sums();
    const result = run();
    const after = this.#sums();
    const counted = reasons.filter((_, index) => after[index * 2]! > before[index * 2]!);
    const first = reasons.length * 2;
    const events = eventNames.filter((_, index) => after[first + index]! > before[first + index]!);
    return { ...result, reason: counted.length === 1 ? counted[0]! : `${counted.length} reasons`, events };
  }

  #sums(): BigUint64Array {
    return this.#counters.sumRange(0, 1);
  }

  bytes(reason: string): bigint {
    return this.#sums()[reasons.indexOf(reason) * 2 + 1]!;
  }

  usage(vip: Ip): Usage | undefined {
    return readUsage(counterMaps(this.object)).find((usage) => usage.vip === vip);
  }

  get instructions(): { readonly decap: number; readonly reply: number } {
    return { decap: this.#decap.info.verifiedInstructions, reply: this.#reply.info.verifiedInstructions };
  }

  close(): void {
    for (const handle of [this.#decap, this.#reply, this.#counters, this.object]) handle.close();
  }
}

/** struct __sk_buff: wire_len at 160 (0: the frame's), gso_segs at 164, gso_size at 176 (linux/bpf.h). */
function context(cut?: { readonly segments: number; readonly wireBytes: number }): Uint8Array {
  const ctx = new Uint8Array(192);
  if (cut === undefined) return ctx;
  const view = new DataView(ctx.buffer);
  view.setUint32(160, cut.wireBytes, true);
  view.setUint32(164, cut.segments, true);
  view.setUint32(176, 1448, true);
  return ctx;
}
