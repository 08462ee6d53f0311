import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfObject, isBpffs, kernelHz, mountBpffs } from '../../src/dataplane/addon.js';
import { pinYardstick } from './driver.js';
import { configBytes, fill, maxEntries } from './fill.js';
import type { Forwarding } from './options.js';
import { PIN_ROOT } from './paths.js';

/** A loaded and filled load balancer, pinned where the driver finds it. */
export interface Loaded {
  readonly forwarding: Forwarding;
  readonly object: BpfObject;
  readonly path: string;
}

export interface BedOptions {
  readonly lbObject: string;
  readonly forwarding: readonly Forwarding[];
  /** Of the session table; a power of two. */
  readonly buckets: number;
  readonly yardstick: boolean;
}

/** The programs of one run. Everything pinned is gone after {@link Bed.close}. */
export class Bed {
  private constructor(
    private readonly directory: string,
    readonly loaded: readonly Loaded[],
  ) {}

  static async open(options: BedOptions): Promise<Bed> {
    const directory = preparePins();
    try {
      if (options.yardstick) await pinYardstick(join(directory, 'classic'));
      return new Bed(
        directory,
        options.forwarding.map((forwarding) => load(directory, forwarding, options)),
      );
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get yardstickPath(): string {
    return join(this.directory, 'classic');
  }

  close(): void {
    for (const { object } of this.loaded) object.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Smallest table that holds so many sessions at a fill of 80 % at most. */
export function bucketsFor(sessions: number): number {
  const slotsPerBucket = 4;
  return Math.max(2, 2 ** Math.ceil(Math.log2(sessions / 0.8 / slotsPerBucket)));
}

function load(directory: string, forwarding: Forwarding, options: BedOptions): Loaded {
  const object = BpfObject.load(options.lbObject, {
    rodata: { config: configBytes(options.buckets, false) },
    maxEntries: maxEntries(options.buckets),
  });
  fill(object, forwarding, kernelHz());
  const path = join(directory, `lb-${forwarding}`);
  object.program('lb').pin(path);
  return { forwarding, object, path };
}

/** A directory of our own in bpffs; what runs that were killed left behind goes. */
function preparePins(): string {
  if (!isBpffs('/sys/fs/bpf')) mountBpffs('/sys/fs/bpf');
  mkdirSync(PIN_ROOT, { recursive: true });
  for (const name of readdirSync(PIN_ROOT)) {
    const pid = /^bench-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(pid)) rmSync(join(PIN_ROOT, name), { recursive: true, force: true });
  }
  const directory = join(PIN_ROOT, `bench-${process.pid}`);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  return directory;
}

/** A process that ended and was never reaped still has its number. */
function isRunning(pid: string): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1);
  return !state?.startsWith('Z');
}
