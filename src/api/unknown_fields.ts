import protobuf from 'protobufjs/light.js';
import type { FieldViolation } from '../base/errors.js';

type Plain = Record<string, unknown>;

/** Of each type, its fields that hold messages. */
const nested = new WeakMap<protobuf.Type, readonly protobuf.Field[]>();

/** Decodes, and names every field that this version does not know; protobuf by itself drops them in silence. */
export function decodeNoting(type: protobuf.Type, bytes: Uint8Array): { message: object; unknown: FieldViolation[] } {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  const message = type.decode(reader);
  const unknown: FieldViolation[] = [];
  collect(nestedOf(type), { message: message as unknown as Plain, path: '', into: unknown });
  return { message, unknown };
}

function collect(
  fields: readonly protobuf.Field[],
  { message, path, into }: { message: Plain; path: string; into: FieldViolation[] },
): void {
  if (Object.hasOwn(message, '$unknowns')) {
    for (const raw of message['$unknowns'] as Uint8Array[]) {
      const number = protobuf.Reader.create(raw).uint32() >>> 3;
      const description = `field number ${number} is unknown to this version of the agent: leave it out, or upgrade`;
      into.push({ field: path === '' ? '(request)' : path, description });
    }
  }
  for (const field of fields) {
    if (!Object.hasOwn(message, field.name)) continue;
    const inner = nestedOf(field.resolvedType as protobuf.Type);
    const value = message[field.name];
    const at = path === '' ? field.name : `${path}.${field.name}`;
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        collect(inner, { message: value[index] as Plain, path: `${at}[${index}]`, into });
      }
    } else if (value !== null && value !== undefined) {
      collect(inner, { message: value as Plain, path: at, into });
    }
  }
}

function nestedOf(type: protobuf.Type): readonly protobuf.Field[] {
  const known = nested.get(type);
  if (known !== undefined) return known;
  const fields = type.fieldsArray.filter((field) => field.resolvedType instanceof protobuf.Type && !field.map);
  nested.set(type, fields);
  return fields;
}
