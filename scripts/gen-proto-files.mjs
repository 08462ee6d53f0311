// FileDescriptorProtos as protoc writes them, for server reflection: one per .proto file, with full type names and
// dependencies. protobufjs' own toDescriptor leaves both out, and clients then refuse the file.
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';

const { Enum, MapField, Service, Type } = protobuf;
const kinds = {
  ...{ double: 1, float: 2, int64: 3, uint64: 4, int32: 5, fixed64: 6, fixed32: 7, bool: 8, string: 9 },
  ...{ bytes: 12, uint32: 13, sfixed32: 15, sfixed64: 16, sint32: 17, sint64: 18 },
};
const [MESSAGE, ENUM, OPTIONAL, REPEATED] = [11, 14, 1, 3];

let whole = null;

/** @returns {Record<string, string>} base64 of each file by its name, dependencies included. */
export function fileDescriptors(root, { sources, pathOf }) {
  whole = root;
  const encoded = {};
  const pending = [...sources];
  for (const name of pending) {
    if (name in encoded) continue;
    const { file, imports } = sources.includes(name) ? parsed(name, pathOf(name)) : bundled(name);
    pending.push(...imports);
    const { FileDescriptorProto } = descriptor;
    const bytes = FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish();
    encoded[name] = Buffer.from(bytes).toString('base64');
  }
  return Object.fromEntries(Object.entries(encoded).sort());
}

function parsed(name, path) {
  const root = new protobuf.Root();
  const { package: pkg, imports = [] } = protobuf.parse(readFileSync(path, 'utf8'), root);
  return { file: describeFile({ name, pkg, imports, scope: root.lookup(pkg) }), imports };
}

function bundled(name) {
  const root = protobuf.Root.fromJSON(protobuf.common.get(name));
  return { file: describeFile({ name, pkg: 'google.protobuf', imports: [], scope: root.lookup('google.protobuf') }), imports: [] };
}

function describeFile({ name, pkg, imports, scope }) {
  const items = scope.nestedArray;
  return {
    name,
    package: pkg,
    dependency: imports,
    syntax: 'proto3',
    messageType: items.filter((item) => item instanceof Type).map(describeType),
    enumType: items.filter((item) => item instanceof Enum).map(describeEnum),
    service: items.filter((item) => item instanceof Service).map(describeService),
  };
}

const snake = (field) => field.protoName ?? field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

function describeType(type) {
  const maps = type.fieldsArray.filter((field) => field instanceof MapField);
  // protoc puts the one-member oneofs of optional fields last.
  const oneofs = type.oneofsArray.toSorted((a, b) => Number(a.name.startsWith('_')) - Number(b.name.startsWith('_')));
  return {
    name: type.name,
    field: type.fieldsArray.map((field) => describeField(field, oneofs)),
    nestedType: [...maps.map(describeEntry), ...type.nestedArray.filter((one) => one instanceof Type).map(describeType)],
    enumType: type.nestedArray.filter((item) => item instanceof Enum).map(describeEnum),
    oneofDecl: oneofs.map((oneof) => ({ name: snake(oneof) })),
    reservedRange: (type.reserved ?? []).filter(Array.isArray).map(([start, end]) => ({ start, end: end + 1 })),
    reservedName: (type.reserved ?? []).filter((entry) => typeof entry === 'string'),
  };
}

function describeField(field, oneofs) {
  const name = snake(field);
  const base = { name, number: field.id, jsonName: camel(name), label: field.repeated || field.map ? REPEATED : OPTIONAL };
  if (field.map) return { ...base, type: MESSAGE, typeName: `${field.parent.fullName}.${entryName(field)}` };
  return {
    ...base,
    ...describeKind(field),
    ...(field.partOf ? { oneofIndex: oneofs.indexOf(field.partOf) } : {}),
    ...(field.options?.proto3_optional ? { proto3Optional: true } : {}),
  };
}

function describeKind(field) {
  if (field.type in kinds) return { type: kinds[field.type] };
  const found = lookup(field.parent, field.type);
  return { type: found instanceof Enum ? ENUM : MESSAGE, typeName: found.fullName };
}

/** In the root with every file: another one may declare the name. */
function lookup(scope, name) {
  const found = whole.lookup(scope.fullName)?.lookup(name, [Type, Enum]);
  if (found) return found;
  throw new Error(`${scope.fullName}: unknown type ${name}`);
}

const entryName = (field) => `${camel(`_${snake(field)}`)}Entry`;

function describeEntry(field) {
  return {
    name: entryName(field),
    field: [
      { name: 'key', number: 1, label: OPTIONAL, type: kinds[field.keyType], jsonName: 'key' },
      { name: 'value', number: 2, label: OPTIONAL, type: kinds[field.type], jsonName: 'value' },
    ],
    options: { mapEntry: true },
  };
}

function describeEnum(item) {
  return { name: item.name, value: Object.entries(item.values).map(([name, number]) => ({ name, number })) };
}

function describeService(service) {
  const full = (type) => lookup(service.parent, type).fullName;
  return {
    name: service.name,
    method: service.methodsArray.map((method) => ({
      name: method.name,
      inputType: full(method.requestType),
      outputType: full(method.responseType),
      ...(method.responseStream ? { serverStreaming: true } : {}),
    })),
  };
}
