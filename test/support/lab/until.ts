/** An emulated machine (scripts/vm) takes its time. */
export const patience = process.env['SPILLWAY_VM'] ? 12 : 1;

/** Polls until `probe` gives something else than null or false. @throws Error saying what did not come, and the last failure of the probe. */
export async function until<T>(
  what: string,
  probe: () => T | null | false | Promise<T | null | false>,
  { withinMs = 10_000, everyMs = 20 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadlineMs = performance.now() + withinMs * patience;
  for (;;) {
    let failure = '';
    try {
      const found = await probe();
      if (found !== null && found !== false) return found;
    } catch (error) {
      failure = `: ${(error as Error).message}`;
    }
    if (performance.now() > deadlineMs) throw new Error(`not within ${withinMs * patience} ms: ${what}${failure}`);
    await pause(everyMs);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
