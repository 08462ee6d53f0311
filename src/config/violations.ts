import { type FieldViolation, InvalidError } from '../base/errors.js';

/** Field name of a violation that concerns the document as a whole. */
export const wholeDocument = '(document)';

/** Collects every field at fault, so that one refusal names them all. */
export class Violations {
  readonly list: FieldViolation[] = [];

  add(field: string, description: string): void {
    this.list.push({ field, description });
  }

  /** @throws InvalidError when there is any. */
  throwIfAny(): void {
    if (this.list.length > 0) throw new InvalidError(this.list);
  }
}

/** `a.b`, or `a["b c"]` where the key is no plain word; `b` at the root. */
export function join(path: string, key: string): string {
  if (!/^[A-Za-z_]\w*$/.test(key)) return `${path}[${show(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

const longest = 60;

/** A value as an error quotes it: JSON, cut where it is long. */
export function show(value: unknown): string {
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : (stringify(value) ?? 'nothing');
  return text.length <= longest ? text : `${text.slice(0, longest)}...`;
}

function stringify(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'string') return JSON.stringify(value.slice(0, longest + 1));
  return JSON.stringify(value);
}
