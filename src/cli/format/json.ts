import type { MessageName } from '../../api/client.js';

/**
 * The proto's JSON mapping of a message as the client decodes it, with every field there: unset messages are null,
 * zeros and false are printed, so that a script need not know what may be left out.
 */
export type ToJson = (message: unknown) => unknown;

interface Field {
  readonly name: string;
  readonly convert: (value: unknown) => unknown;
}

/** Loads the descriptors: only for commands that print messages. */
export async function jsonOf(name: MessageName): Promise<ToJson> {
  const { root } = await import('../../api/codec.js');
  return messageConverter(root.lookupType(name), new Map());
}

interface TypeLike {
  readonly fullName: string;
  readonly fieldsArray: readonly {
    readonly name: string;
    readonly type: string;
    readonly repeated: boolean;
    readonly map: boolean;
    readonly resolvedType: object | null;
  }[];
}

function messageConverter(type: TypeLike, known: Map<string, ToJson>): ToJson {
  if (type.fullName === '.google.protobuf.Timestamp') return timestamp;
  if (type.fullName === '.google.protobuf.Duration') return duration;
  const made = known.get(type.fullName);
  if (made !== undefined) return made;
  const fields: Field[] = [];
  const convert: ToJson = (message) => {
    if (message === null) return null;
    const source = message as Record<string, unknown>;
    const out: Record<string, unknown> = {};
    for (const { name, convert } of fields) {
      const value = source[name];
      if (value !== undefined) out[name] = convert(value);
    }
    return out;
  };
  known.set(type.fullName, convert);
  for (const field of type.fieldsArray) {
    const nested = field.resolvedType;
    const one = nested !== null && 'fieldsArray' in nested ? messageConverter(nested as TypeLike, known) : scalar;
    const many = field.repeated && one !== scalar ? (value: unknown) => (value as unknown[]).map(one) : one;
    fields.push({ name: field.name, convert: many });
  }
  return convert;
}

function scalar(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function timestamp(value: unknown): string | null {
  if (value === null) return null;
  const { seconds, nanos } = value as { seconds: bigint; nanos: number };
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}${fraction(nanos)}Z`;
}

function duration(value: unknown): string | null {
  if (value === null) return null;
  const { seconds, nanos } = value as { seconds: bigint; nanos: number };
  const negative = seconds < 0n || nanos < 0 ? '-' : '';
  return `${negative}${String(seconds).replace('-', '')}${fraction(Math.abs(nanos))}s`;
}

/** Three, six or nine digits, as the mapping has it; none for 0. */
function fraction(nanos: number): string {
  if (nanos === 0) return '';
  const digits = String(nanos).padStart(9, '0');
  return `.${digits.replace(/(?:000){1,2}$/, '')}`;
}

export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner), 2)}\n`;
}
