/** How long each phase of a start took, in milliseconds: a slow one tells where. */
export class Phases {
  readonly #durations: Record<string, number> = {};
  #since: number;

  constructor(private readonly nowMs: () => number) {
    this.#since = nowMs();
  }

  /** What was done since the last call, or since the beginning. */
  done(phase: string): void {
    const now = this.nowMs();
    this.#durations[phase] = Math.round(now - this.#since);
    this.#since = now;
  }

  get durations(): Readonly<Record<string, number>> {
    return this.#durations;
  }
}
