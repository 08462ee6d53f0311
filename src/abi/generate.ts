import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Writes the TypeScript codecs of every layout in bpf/abi_*.h from the BTF of dist/bpf/abi.bpf.o, so that C stays the
 * one owner of layouts. Run: `node dist/src/abi/generate.js`. A test compares the committed file with a fresh one.
 */

interface BtfMember {
  readonly name: string;
  readonly type_id: number;
  readonly bits_offset: number;
}

interface BtfType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly type_id?: number;
  readonly nr_elems?: number;
  readonly members?: readonly BtfMember[];
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

/** Larger arrays are not copied field by field: only their offsets are given. */
const LONGEST_ARRAY = 128;

export function generate(objectFile: string): string {
  const json = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', objectFile], { encoding: 'utf8' });
  const types = new Map((JSON.parse(json) as { types: BtfType[] }).types.map((type) => [type.id, type]));
  const roots = [...types.values()]
    .filter((type) => type.kind === 'VAR' && type.name.startsWith('abi_'))
    .map((type) => resolve(types, type.type_id ?? 0));
  const parts = [
    '// Generated from bpf/abi_*.h by src/abi/generate.ts: do not edit. biome-ignore-all lint: generated',
    ...roots.map((type) => (type.kind === 'ENUM' ? renderEnum(type) : renderStruct(types, type))),
  ];
  return `${parts.join('\n\n')}\n`;
}

function resolve(types: ReadonlyMap<number, BtfType>, id: number): BtfType {
  const type = types.get(id);
  if (!type) throw new Error(`BTF type ${id} is missing`);
  const transparent = ['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind) && !/^__be\d+$/.test(type.name);
  return transparent ? resolve(types, type.type_id ?? 0) : type;
}

function camel(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function pascal(name: string): string {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `enum reason` with DROP_FRAGMENT: Reason.DROP_FRAGMENT; the C words stay, so that they can be searched for. */
function renderEnum(type: BtfType): string {
  const lines = (type.values ?? []).map(({ name, val }) => `  ${name}: ${val},`);
  return `export const ${pascal(type.name)} = {\n${lines.join('\n')}\n} as const;`;
}

interface Field {
  readonly name: string;
  readonly type: string;
  readonly read: string;
  readonly write: string;
}

function renderStruct(types: ReadonlyMap<number, BtfType>, type: BtfType): string {
  const members = (type.members ?? []).filter(({ name }) => name !== 'pad');
  const name = pascal(type.name);
  const fields = members.map((member) => renderField(types, member));
  const offsets = members.map((member) => `  ${camel(member.name)}: ${member.bits_offset / 8},`);
  const size = `export const ${camel(type.name)}Size = ${type.size};`;
  const offset = `export const ${camel(type.name)}Offset = {\n${offsets.join('\n')}\n} as const;`;
  if (fields.some((field) => field === null)) return `${size}\n${offset}`;
  const known = fields as Field[];
  return [
    size,
    offset,
    `export interface ${name} {\n${known.map((field) => `  readonly ${field.name}: ${field.type};`).join('\n')}\n}`,
    `export function read${name}(view: DataView, at: number): ${name} {\n  return {\n${known
      .map((field) => `    ${field.name}: ${field.read},`)
      .join('\n')}\n  };\n}`,
    `export function write${name}(view: DataView, at: number, value: ${name}): void {\n${known
      .map((field) => `  ${field.write};`)
      .join('\n')}\n}`,
  ].join('\n');
}

function renderField(types: ReadonlyMap<number, BtfType>, member: BtfMember): Field | null {
  const at = `at + ${member.bits_offset / 8}`;
  const name = camel(member.name);
  const type = resolve(types, member.type_id);
  const scalar = scalarOf(type);
  if (scalar) {
    return {
      name,
      type: scalar.type,
      read: `view.get${scalar.access}(${at}${scalar.order})`,
      write: `view.set${scalar.access}(${at}, value.${name}${scalar.order})`,
    };
  }
  if (type.kind === 'STRUCT' && type.name === 'address') return bytesField(name, at, 16);
  if (type.kind !== 'ARRAY' || (type.nr_elems ?? 0) > LONGEST_ARRAY) return null;
  const element = resolve(types, type.type_id ?? 0);
  const count = type.nr_elems ?? 0;
  if (element.kind === 'INT' && element.size === 1) return bytesField(name, at, count);
  const item = scalarOf(element);
  if (!item) return null;
  const step = `${at} + i * ${element.size}`;
  return {
    name,
    type: `readonly ${item.type}[]`,
    read: `Array.from({ length: ${count} }, (_, i) => view.get${item.access}(${step}${item.order}))`,
    write: `value.${name}.forEach((item, i) => { view.set${item.access}(${step}, item${item.order}); })`,
  };
}

function bytesField(name: string, at: string, length: number): Field {
  const slice = `new Uint8Array(view.buffer, view.byteOffset + ${at}, ${length})`;
  return { name, type: 'Uint8Array', read: `${slice}.slice()`, write: `${slice}.set(value.${name})` };
}

function scalarOf(type: BtfType): { type: string; access: string; order: string } | null {
  if (type.kind === 'TYPEDEF')
    return { type: 'number', access: type.name === '__be16' ? 'Uint16' : 'Uint32', order: '' };
  if (type.kind === 'ENUM') return { type: 'number', access: 'Uint32', order: ', true' };
  if (type.kind !== 'INT') return null;
  if (type.size === 8) return { type: 'bigint', access: 'BigUint64', order: ', true' };
  if (type.size === 1) return { type: 'number', access: 'Uint8', order: '' };
  return { type: 'number', access: type.size === 2 ? 'Uint16' : 'Uint32', order: ', true' };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  writeFileSync(`${root}src/abi/abi.generated.ts`, generate(`${root}dist/bpf/abi.bpf.o`));
}
