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
  /** As limits count it: 2^30 parts of a tick, 64 bits. */
  limitTime(): bigint;
  close(): void;
}

/** As in bpf/abi_types.h. */
const LIMIT_TIME_BITS = 30;

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
  const jiffies = (): bigint => {
    const { ctx } = program.testRun({ ctx: reading });
    if (!ctx) throw new Error('the clock program gave no reading');
    return new DataView(ctx.buffer, ctx.byteOffset).getBigUint64(clockReadingOffset.jiffies, true);
  };
  const now32 = (): number => Number(BigInt.asUintN(32, jiffies() >> BigInt(shift)));
  return {
    hz,
    shift,
    tickMs: (2 ** shift / hz) * 1000,
    now: () => now32() & tickMask,
    now32,
    limitTime: () => BigInt.asUintN(64, jiffies() << BigInt(LIMIT_TIME_BITS - shift)),
    close: () => program.close(),
  };
}
