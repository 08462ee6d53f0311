import type { Duration } from '../api/generated/messages.generated.js';
import { didYouMean } from './suggest.js';
import { show } from './violations.js';

/** A value read, or what is wrong with it. */
export type Read<T> = { readonly value: T } | { readonly problem: string };

const bad = (problem: string) => ({ problem });

export function readString(value: unknown): Read<string> {
  if (typeof value === 'string') return { value };
  if (typeof value === 'number' || typeof value === 'boolean') {
    return bad(`${show(value)} is a ${typeof value}, a string is expected: put it in quotes`);
  }
  return bad(`${show(value)}: a string is expected`);
}

export function readBool(value: unknown): Read<boolean> {
  return typeof value === 'boolean' ? { value } : bad(`${show(value)}: true or false is expected`);
}

/** As protobuf's JSON mapping has it, also a decimal string. */
export function readInteger(value: unknown, range: { min: number; max: number }): Read<number> {
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) return bad(`${show(value)}: a whole number is expected`);
  if (number < range.min || number > range.max) return bad(`${show(value)} is not within ${range.min} to ${range.max}`);
  return { value: number === 0 ? 0 : number };
}

/** As the codec has it, a bigint; read from a number or, as protobuf's JSON mapping writes it, a decimal string. */
export function readUint64(value: unknown): Read<bigint> {
  const max = 0xffff_ffff_ffff_ffffn;
  const whole = typeof value === 'string' ? /^-?\d{1,20}$/.test(value) : Number.isSafeInteger(value);
  if (!whole) return bad(`${show(value)}: a whole number is expected`);
  const number = BigInt(value as string | number);
  return number < 0n || number > max ? bad(`${show(value)} is not within 0 to ${max}`) : { value: number };
}

export function readEnum(value: unknown, values: Readonly<Record<string, number>>): Read<string> {
  const names = Object.keys(values);
  if (typeof value === 'number') {
    const name = names.find((candidate) => values[candidate] === value);
    if (name !== undefined) return { value: name };
  } else if (typeof value === 'string' && Object.hasOwn(values, value)) {
    return { value };
  }
  const choice = names.filter((name) => !name.endsWith('_UNSPECIFIED')).join(', ');
  return bad(
    `${show(value)}: one of ${choice} is expected${typeof value === 'string' ? didYouMean(value, names) : ''}`,
  );
}

export function readBytes(value: unknown): Read<Uint8Array> {
  if (typeof value !== 'string') return bad(`${show(value)}: base64 text is expected`);
  const standard = value.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  const bytes = Buffer.from(standard, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== standard) return bad(`${show(value)} is not base64`);
  return { value: Uint8Array.from(bytes) };
}

/** protobuf's JSON mapping: seconds with up to nine decimals and an "s". */
export function readDuration(value: unknown): Read<Duration> {
  if (typeof value === 'number') return bad(`${show(value)}: a duration with its unit is expected: "${value}s"`);
  if (typeof value !== 'string') return bad(`${show(value)}: a duration such as "3s" or "0.25s" is expected`);
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(value);
  if (match === null) return bad(`${show(value)}: a duration such as "3s" or "0.25s" is expected${inSeconds(value)}`);
  const sign = match[1] === '-' ? -1 : 1;
  const nanos = sign * Number((match[3] ?? '').padEnd(9, '0'));
  return { value: { seconds: BigInt(sign) * BigInt(match[2]!), nanos: nanos === 0 ? 0 : nanos } };
}

function inSeconds(text: string): string {
  const match = /^(\d{1,9})\s*(ms|m|min|h)$/.exec(text);
  if (match === null) return '';
  const factor = { ms: 0.001, m: 60, min: 60, h: 3600 }[match[2] as 'ms' | 'm' | 'min' | 'h'];
  return `: write "${Number((Number(match[1]) * factor).toFixed(3))}s"`;
}
