import protobuf from 'protobufjs/light.js';
import * as scalars from './scalars.js';
import { didYouMean } from './suggest.js';
import { join, show, type Violations, wholeDocument } from './violations.js';

type Plain = Record<string, unknown>;

interface Shape {
  /** By lowerCamelCase name and by the name in the .proto file. */
  readonly byKey: ReadonlyMap<string, protobuf.Field>;
  readonly fields: readonly protobuf.Field[];
  readonly names: readonly string[];
}

const shapes = new WeakMap<protobuf.Type, Shape>();

/**
 * Reads plain values as the protobuf JSON mapping of `type`, strictly: unknown fields, wrong types and fields given
 * under both of their names are violations. Gives the message in the codec's shape (defaults filled in).
 */
export function readMessage(type: protobuf.Type, value: unknown, path: string, violations: Violations): Plain {
  const { byKey, fields, names } = shapeOf(type);
  const message: Plain = {};
  for (const field of fields) {
    if (field.partOf == null) message[field.name] = defaultOf(field);
  }
  if (!isObject(value)) {
    violations.add(path || wholeDocument, `${show(value)}: an object is expected, with ${listed(names)}`);
    return message;
  }
  const seen = new Map<string, string>();
  const chosen = new Map<protobuf.OneOf, string>();
  for (const [key, entry] of Object.entries(value)) {
    const at = join(path, key);
    const field = byKey.get(key);
    if (field === undefined) {
      violations.add(at, `unknown field${didYouMean(key, names)}; known here: ${listed(names)}`);
      continue;
    }
    const before = seen.get(field.name);
    if (before !== undefined) violations.add(at, `given twice, also as "${before}"`);
    seen.set(field.name, key);
    if (entry === null || entry === undefined) continue;
    const rival = field.partOf == null ? undefined : chosen.get(field.partOf);
    if (rival !== undefined) violations.add(at, `set beside "${rival}": only one of ${listed(field.partOf!.oneof)}`);
    if (field.partOf != null) chosen.set(field.partOf, key);
    message[field.name] = readField(field, entry, at, violations);
  }
  return message;
}

function readField(field: protobuf.Field, value: unknown, path: string, violations: Violations): unknown {
  if (field.map) {
    if (!isObject(value)) return fail(violations, path, `${show(value)}: an object is expected`, {});
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, readSingle(field, entry, join(path, key), violations)]),
    );
  }
  if (field.repeated) {
    if (!Array.isArray(value)) return fail(violations, path, `${show(value)}: a list is expected`, []);
    // A hole in a list is no element, but must not become one of the message either.
    return Array.from(value, (entry, index) => readSingle(field, entry, `${path}[${index}]`, violations));
  }
  return readSingle(field, value, path, violations);
}

function readSingle(field: protobuf.Field, value: unknown, path: string, violations: Violations): unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type && type.fullName !== '.google.protobuf.Duration') {
    return readMessage(type, value, path, violations);
  }
  const read = type instanceof protobuf.Enum ? scalars.readEnum(value, type.values) : readScalar(field.type, value);
  return 'value' in read ? read.value : fail(violations, path, read.problem, defaultOf(field));
}

function readScalar(type: string, value: unknown): scalars.Read<unknown> {
  switch (type) {
    case 'string':
      return scalars.readString(value);
    case 'bool':
      return scalars.readBool(value);
    case 'bytes':
      return scalars.readBytes(value);
    case 'uint32':
      return scalars.readInteger(value, { min: 0, max: 0xffff_ffff });
    case 'uint64':
      return scalars.readUint64(value);
    case 'google.protobuf.Duration':
    case 'Duration':
      return scalars.readDuration(value);
    default:
      // A new field type in the .proto needs its case here; test/unit/config reads every field of Config.
      throw new Error(`no strict reading for ${type}`);
  }
}

function defaultOf(field: protobuf.Field): unknown {
  if (field.map) return {};
  if (field.repeated) return [];
  const type = field.resolvedType;
  if (type instanceof protobuf.Enum) return type.valuesById[0];
  if (type !== null) return null;
  if (field.type === 'bytes') return new Uint8Array();
  if (field.type === 'string') return '';
  if (field.type === 'uint64') return 0n;
  return field.type === 'bool' ? false : 0;
}

function shapeOf(type: protobuf.Type): Shape {
  const known = shapes.get(type);
  if (known !== undefined) return known;
  const byKey = new Map<string, protobuf.Field>();
  for (const field of type.fieldsArray) {
    byKey.set(field.name, field);
    byKey.set(
      field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      field,
    );
  }
  const made = { byKey, fields: type.fieldsArray, names: type.fieldsArray.map((field) => field.name) };
  shapes.set(type, made);
  return made;
}

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fail<T>(violations: Violations, path: string, description: string, instead: T): T {
  violations.add(path, description);
  return instead;
}

const listed = (names: readonly string[]) => names.join(', ') || 'no fields';
