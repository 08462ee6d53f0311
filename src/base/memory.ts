import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const QUIET_MS = 1000;
let timer: NodeJS.Timeout | null = null;

/** Percent by which the heap may grow over what lived at the last collection before the next one begins. */
const HEAP_GROWTH = 20;

/**
 * To be called at start. By itself V8 lets a heap of 100 MB grow to several times as much before it collects; here the
 * garbage of applies, scrapes and status calls would stay as resident memory of a host that has other work.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
}

/**
 * Has V8 give back what a large change left behind, once things are quiet: without, the old state and the new one and
 * the request they came from stay in memory until the heap happens to be collected. `trim` gives back what lies outside
 * V8's heap. A tenth of a second for 100 MB.
 */
export function collectGarbageSoon(trim: () => void): void {
  if (timer) clearTimeout(timer);
  timer = setTimeout(() => {
    timer = null;
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    trim();
  }, QUIET_MS);
  timer.unref();
}
