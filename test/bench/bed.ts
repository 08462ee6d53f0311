import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Desired } from '../../src/config/desired.js';
import { BpfProgram, isBpffs, mountBpffs } from '../../src/dataplane/addon.js';
import { openTickClock } from '../../src/dataplane/clock.js';
import { pinYardstick } from './driver.js';
import { type Lb, loadLb } from './fill.js';
import type { Forwarding } from './options.js';
import { CLOCK_OBJECT } from './paths.js';

/** One load balancer of a run. */
export interface Variant {
  readonly forwarding: Forwarding;
  /** What is switched on; empty: nothing. */
  readonly feature?: string;
  readonly change?: (desired: Desired) => Desired;
}

const unchanged = (desired: Desired): Desired => desired;

export interface Loaded extends Lb {
  readonly forwarding: Forwarding;
  readonly feature: string;
}

export interface BedOptions {
  readonly lbObject: string;
  readonly variants: readonly Variant[];
  /** Live sessions that each session table is sized for. */
  readonly sessions: number;
  readonly yardstick: boolean;
}

const BPFFS = '/sys/fs/bpf';

/** The programs of one run. They live as long as this process holds them: even a kill leaves nothing behind. */
export class Bed {
  private constructor(
    readonly loaded: readonly Loaded[],
    private readonly yardstick: BpfProgram | null,
  ) {}

  static async open(options: BedOptions): Promise<Bed> {
    const clock = openTickClock(CLOCK_OBJECT);
    try {
      const yardstick = options.yardstick ? await loadYardstick() : null;
      const loaded: Loaded[] = [];
      for (const { forwarding, feature = '', change = unchanged } of options.variants) {
        const { lbObject: objectFile, sessions } = options;
        const lb = await loadLb({ objectFile, forwarding, sessions, clock, change });
        loaded.push({ ...lb, forwarding, feature });
      }
      return new Bed(loaded, yardstick);
    } finally {
      clock.close();
    }
  }

  get yardstickId(): number {
    if (this.yardstick === null) throw new Error('this bed was opened without the yardstick');
    return this.yardstick.info.id;
  }

  close(): void {
    for (const lb of this.loaded) lb.close();
    this.yardstick?.close();
  }
}

/** Its loader hands it over through a pin, which goes at once. */
async function loadYardstick(): Promise<BpfProgram> {
  if (!isBpffs(BPFFS)) mountBpffs(BPFFS);
  const directory = join(BPFFS, 'spillway');
  const path = join(directory, `bench-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  try {
    await pinYardstick(path);
    return BpfProgram.openPinned(path);
  } finally {
    rmSync(path, { force: true });
  }
}
