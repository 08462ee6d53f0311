export interface LatestOptions {
  /** Subscribes to "something changed"; gives the unsubscriber. */
  readonly subscribe: (onChange: () => void) => () => void;
  /** At least this long between two values: changes meanwhile become one. */
  readonly minIntervalMs: number;
  readonly signal: AbortSignal;
}

/**
 * The value now, then the newest value after changes, until the signal. A slow reader misses values in between, never
 * the last one, and nothing queues up for it.
 */
export async function* latest<T>(
  read: () => T,
  { subscribe, minIntervalMs, signal }: LatestOptions,
): AsyncGenerator<T, void, void> {
  let wake = () => {};
  let changed = true;
  const unsubscribe = subscribe(() => {
    changed = true;
    wake();
  });
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort);
  try {
    while (!signal.aborted) {
      if (changed) {
        changed = false;
        yield read();
        await pause(minIntervalMs, signal);
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = () => {};
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    unsubscribe();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
