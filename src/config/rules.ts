import type { Duration } from '../api/generated/messages.generated.js';
import { show, type Violations } from './violations.js';

/** Where a value stands in the document, and who collects what is wrong with it. */
export interface At {
  readonly path: string;
  readonly violations: Violations;
}

export const namePattern = /^[A-Za-z][\w.-]{0,62}$/;

export function checkName(name: string, { path, violations }: At): void {
  if (namePattern.test(name)) return;
  violations.add(
    path,
    name === ''
      ? 'required: a letter, then letters, digits, "-", "_" or "."'
      : `${show(name)} is no name: a letter, then letters, digits, "-", "_" or ".", up to 63 characters`,
  );
}

/** Up to `max` characters, none of them a control character. */
export function checkText(text: string, max: number, { path, violations }: At): void {
  if (text.length > max) violations.add(path, `${text.length} characters; at most ${max} are allowed`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are refused
  if (/[\u0000-\u001f\u007f]/.test(text)) violations.add(path, `${show(text)} holds control characters: remove them`);
}

/** Empty: none. */
export function isZone(zone: string): boolean {
  return zone === '' || /^[\w.-]{1,63}$/.test(zone);
}

export function checkZone(zone: string, { path, violations }: At): void {
  if (isZone(zone)) return;
  violations.add(path, `${show(zone)} is no zone: letters, digits, "-", "_" or ".", up to 63 characters`);
}

export function checkPort(port: number, { path, violations }: At): void {
  if (port < 1 || port > 65535) violations.add(path, `${port} is no port: 1 to 65535`);
}

/** Milliseconds of a duration; `unset` where there is none. */
export function durationMs(
  duration: Duration | null,
  range: { min: number; max: number; unset: number },
  { path, violations }: At,
): number {
  if (duration === null) return range.unset;
  const ms = Number(duration.seconds) * 1000 + duration.nanos / 1e6;
  if (ms < range.min || ms > range.max) {
    violations.add(path, `${formatMs(ms)} is not within ${formatMs(range.min)} to ${formatMs(range.max)}`);
  } else if (!Number.isInteger(ms)) {
    violations.add(path, `${ms} ms: whole milliseconds are expected`);
  }
  return ms;
}

/** "250 ms", "3 s" */
export function formatMs(ms: number): string {
  return Math.abs(ms) < 1000 && ms !== 0 ? `${ms} ms` : `${ms / 1000} s`;
}

/** An integer in a range, 0 standing for unset. */
export function rangeOr(value: number, range: { min: number; max: number; unset: number }, at: At): number {
  if (value === 0) return range.unset;
  if (value < range.min || value > range.max) {
    at.violations.add(at.path, `${value} is not within ${range.min} to ${range.max} (unset: ${range.unset})`);
  }
  return value;
}

/** Adds a violation for each value that an earlier one has too, naming the earlier one. */
export class Unique {
  readonly #first = new Map<string, number>();

  /** Paths are made only when they are needed: 50,000 backends show the difference. */
  constructor(
    readonly what: string,
    readonly violations: Violations,
    readonly pathOf: (index: number) => string,
  ) {}

  add(value: string, index: number): void {
    const earlier = this.#first.get(value);
    if (earlier === undefined) this.#first.set(value, index);
    else this.violations.add(this.pathOf(index), `${this.what} ${show(value)} is taken by ${this.pathOf(earlier)}`);
  }
}
