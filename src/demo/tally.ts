/** Counts by two words. */
export class Tally {
  readonly counts: Record<string, Record<string, number>> = {};

  add(first: string, second: string): void {
    this.counts[first] ??= {};
    const row = this.counts[first];
    row[second] = (row[second] ?? 0) + 1;
  }
}
