import { clockReadingOffset, clockReadingSize } from '../abi/abi.generated.js';
import { BpfObject, type BpfProgram, kernelHz } from './addon.js';

/** 24 bits, as in TICK_MASK of bpf/abi_types.h. */
export const tickMask = 0xff_ffff;

/** The data path's time: ticks of about a quarter of a second, made of jiffies, which cost it nothing to read. */
export interface TickClock {
  readonly hz: number;
  readonly shift: number;
  readonly tickMs: number;
  /** 24 bits, as sessions keep it: comes round again after some 50 days. */
  now(): number;
  /** 32 bits: comes round again after decades. */
  now32(): number;
  close(): void;
}

export function tickShift(hz: number): number {
  return Math.max(0, Math.round(Math.log2(hz / 4)));
}

export function openTickClock(objectFile: string): TickClock {
  const object = BpfObject.load(objectFile);
  const program: BpfProgram = object.program('clock');
  object.close();
  const hz = kernelHz();
  const shift = tickShift(hz);
  const reading = new Uint8Array(clockReadingSize);
  const now32 = (): number => {
    const { ctx } = program.testRun({ ctx: reading });
    if (!ctx) throw new Error('the clock program gave no reading');
    const jiffies = new DataView(ctx.buffer, ctx.byteOffset).getBigUint64(clockReadingOffset.jiffies, true);
    return Number(BigInt.asUintN(32, jiffies >> BigInt(shift)));
  };
  return {
    hz,
    shift,
    tickMs: (2 ** shift / hz) * 1000,
    now: () => now32() & tickMask,
    now32,
    close: () => program.close(),
  };
}
