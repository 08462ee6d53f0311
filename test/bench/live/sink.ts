import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BpfMap, BpfObject, type BpfProgram } from '../../../src/dataplane/addon.js';
import { OUT } from '../paths.js';

/** Counts and drops frames (sink.bpf.c). */
export class Sink {
  private constructor(
    private readonly program: BpfProgram,
    private readonly map: BpfMap,
  ) {}

  static load(): Sink {
    const object = BpfObject.load(join(OUT, 'live', 'sink.bpf.o'));
    const sink = new Sink(object.program('sink'), object.map('sunk'));
    object.close();
    return sink;
  }

  get programId(): number {
    return this.program.info.id;
  }

  packets(): number {
    return Number(this.map.sumRange(0, 1)[0]);
  }

  close(): void {
    this.program.close();
    this.map.close();
  }
}

/** What a counter says once nothing more comes: frames may be under way for a moment after the last was sent. */
export async function settled(count: () => number | Promise<number>, deadlineMs = 2_000): Promise<number> {
  const end = Date.now() + deadlineMs;
  let before = await count();
  for (;;) {
    await sleep(20);
    const now = await count();
    if (now === before || Date.now() > end) return now;
    before = now;
  }
}
