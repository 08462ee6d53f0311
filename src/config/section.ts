import { didYouMean } from './suggest.js';
import { join, show, Violations, wholeDocument } from './violations.js';

/** What a field may hold: its value, or null when `text` says no such thing. */
type Parse<T> = (text: string) => T | null;

/** One object of spillwayd's configuration file: typed reading of its fields; what nobody asked for is unknown. */
export class Section {
  readonly #values: Record<string, unknown>;
  readonly #known = new Set<string>();
  readonly violations: Violations;

  constructor(
    value: unknown,
    readonly path = '',
    violations: Violations = new Violations(),
  ) {
    this.violations = violations;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    this.#values = isObject ? { ...value } : {};
    if (!isObject) this.fail('', `${show(value)}: fields with values are expected`);
  }

  /** Where `key` is left out, or null: everything by default. */
  section(key: string): Section {
    return new Section(this.#take(key) ?? {}, join(this.path, key), this.violations);
  }

  /** Null where `key` is left out or null. */
  optional(key: string): Section | null {
    return this.#take(key) == null ? null : this.section(key);
  }

  isNull(key: string): boolean {
    return this.#take(key) === null;
  }

  /** @param expected completes "... is expected". */
  text<T>(key: string, unset: T, { parse, expected }: { parse: Parse<T>; expected: string }): T {
    const value = this.#take(key) ?? null;
    if (value === null) return unset;
    const parsed = typeof value === 'string' ? parse(value) : null;
    if (parsed === null) this.fail(key, `${show(value)}: ${expected} is expected`);
    return parsed ?? unset;
  }

  choice<const T extends string>(key: string, unset: T, choices: readonly T[]): T {
    return this.text<T>(key, unset, {
      parse: (text) => choices.find((choice) => choice === text) ?? null,
      expected: `one of ${choices.join(', ')}`,
    });
  }

  integer(key: string, unset: number, { min, max }: { min: number; max: number }): number {
    const value = this.#take(key) ?? unset;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    this.fail(key, `${show(value)}: a whole number from ${min} to ${max} is expected`);
    return unset;
  }

  /** Null where the file says null, and `unset` where it says nothing. */
  integerOrNull(key: string, unset: number | null, range: { min: number; max: number }): number | null {
    if (this.isNull(key) || (unset === null && this.#values[key] === undefined)) return null;
    return this.integer(key, unset ?? range.min, range);
  }

  choiceOrInteger<const T extends string>(
    key: string,
    unset: T | number,
    { choices, min, max }: { choices: readonly T[]; min: number; max: number },
  ): T | number {
    const value = this.#take(key) ?? unset;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    const choice = choices.find((one) => one === value);
    if (choice === undefined) {
      this.fail(key, `${show(value)}: ${choices.join(', ')} or a whole number from ${min} to ${max} is expected`);
    }
    return choice ?? unset;
  }

  /** In milliseconds; `unset`, `min` and `max` as one writes them. */
  duration(key: string, unset: string, { min, max }: { min: string; max: string }): number {
    return this.text(key, parseDuration(unset)!, {
      parse: (text) => {
        const ms = parseDuration(text);
        return ms !== null && ms >= parseDuration(min)! && ms <= parseDuration(max)! ? ms : null;
      },
      expected: `a duration from "${min}" to "${max}"`,
    });
  }

  flag(key: string, unset: boolean): boolean {
    const value = this.#take(key) ?? unset;
    if (typeof value !== 'boolean') this.fail(key, `${show(value)}: true or false is expected`);
    return value === true;
  }

  /** Null after a violation. */
  list(key: string): readonly unknown[] | null {
    const value = this.#take(key) ?? [];
    if (Array.isArray(value)) return value;
    this.fail(key, `${show(value)}: a list is expected`);
    return null;
  }

  /** Entry of a list of sections. */
  item(key: string, index: number, value: unknown): Section {
    return new Section(value, `${join(this.path, key)}[${index}]`, this.violations);
  }

  /** As `fail`; `where` is a path within this section, as "peers[1]". */
  failAt(where: string, description: string): void {
    this.violations.add(this.path === '' ? where : `${this.path}.${where}`, description);
  }

  fail(key: string, description: string): void {
    this.violations.add(key === '' ? this.path || wholeDocument : join(this.path, key), description);
  }

  /** Call when every field was asked for. */
  refuseUnknown(): void {
    for (const key of Object.keys(this.#values)) {
      if (this.#known.has(key)) continue;
      this.fail(key, `unknown field${didYouMean(key, this.#known)}; known here: ${[...this.#known].join(', ')}`);
    }
  }

  #take(key: string): unknown {
    this.#known.add(key);
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
  }
}

/** "10s", "250ms", "1.5s", "2m" in milliseconds. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m)$/.exec(text);
  if (match === null) return null;
  const ms = Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm'];
  return Number.isInteger(ms) ? ms : null;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** "127.0.0.1:9155", "[::1]:9155" */
export function parseEndpoint(text: string): Endpoint | null {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65535 ? null : { host, port };
}

/** An absolute path without "..". */
export function parsePath(text: string): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is they that are refused
  return text.startsWith('/') && !/[\u0000-\u001f]/.test(text) && !text.split('/').includes('..') ? text : null;
}
