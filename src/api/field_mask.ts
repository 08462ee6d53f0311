import type protobuf from 'protobufjs/light.js';
import { InvalidError } from '../base/errors.js';
import { didYouMean } from '../config/suggest.js';
import { type MessageName, root } from './codec.js';
import type { FieldMask, Messages } from './generated/messages.generated.js';

type Plain = Record<string, unknown>;

/**
 * `before` with the fields of `mask` as `patch` has them (unset there: back to the default), as google.protobuf
 * FieldMask says; paths may go into messages ("health_check.interval"). Without a mask: every field that is set.
 * @throws InvalidError for paths that the message does not have.
 */
export function applyMask<Name extends MessageName>(
  name: Name,
  { before, patch, mask }: { before: Messages[Name]; patch: Messages[Name]; mask: FieldMask | null },
): Messages[Name] {
  const type = root.lookupType(name);
  const source = patch as Plain;
  const paths = mask === null || mask.paths.length === 0 ? setFields(type, source) : mask.paths.flatMap(expand(type));
  let merged = before as Plain;
  for (const path of paths) merged = copy(type, { into: merged, source, path: path.split('.'), whole: path });
  return merged as unknown as Messages[Name];
}

function expand(type: protobuf.Type): (path: string) => string[] {
  return (path) => (path === '*' ? type.fieldsArray.map((field) => field.name) : [path]);
}

function copy(
  type: protobuf.Type,
  { into, source, path, whole }: { into: Plain; source: Plain | null; path: readonly string[]; whole: string },
): Plain {
  const [head, ...rest] = path;
  const field = type.fieldsArray.find((one) => one.name === camel(head!));
  if (field === undefined) throw unknownPath(whole, { part: head!, type });
  const merged = { ...into };
  const given = source?.[field.name];
  if (rest.length > 0) {
    const inner = field.resolvedType;
    if (field.repeated || field.map || inner === null || !('fieldsArray' in inner)) {
      throw unknownPath(whole, { part: rest[0]!, type: null });
    }
    const child = { into: (merged[field.name] ?? emptyOf(inner)) as Plain, source: (given ?? null) as Plain | null };
    merged[field.name] = copy(inner, { ...child, path: rest, whole });
  } else if (given === undefined) {
    if (field.partOf == null) merged[field.name] = emptyOf(type)[field.name];
    else delete merged[field.name];
  } else {
    merged[field.name] = given;
  }
  if (merged[field.name] !== undefined) clearRivals(field, merged);
  return merged;
}

/** Of a oneof, the field set last stays. */
function clearRivals(field: protobuf.Field, message: Plain): void {
  for (const name of field.partOf?.oneof ?? []) if (name !== field.name) delete message[name];
}

function setFields(type: protobuf.Type, message: Plain): string[] {
  const unset = emptyOf(type);
  return type.fieldsArray.map(({ name }) => name).filter((name) => isSet(message[name], unset[name]));
}

function isSet(value: unknown, unset: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length > 0;
  if (typeof value === 'object') return typeof unset !== 'object' || unset === null || Object.keys(value).length > 0;
  return value !== unset;
}

function emptyOf(type: protobuf.Type): Plain {
  return type.toObject(type.create(), { defaults: true, enums: String });
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function unknownPath(path: string, { part, type }: { part: string; type: protobuf.Type | null }): InvalidError {
  const names =
    type?.fieldsArray.map(({ name }) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) ?? [];
  const known = type === null ? 'the field before it has no fields of its own' : `known: ${names.join(', ')}`;
  const description = `"${path}": no field "${part}"${didYouMean(part, names)}; ${known}`;
  return new InvalidError([{ field: 'updateMask', description }]);
}
