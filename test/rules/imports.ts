/** Who imports what, read from the sources of src/. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Import {
  /** Path below src/. */
  readonly from: string;
  /** Path below src/ without extension, `native/addon`, or a package's name. */
  readonly to: string;
  readonly typesOnly: boolean;
}

export function sources(directory = 'src'): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .sort();
}

/** `import ... from`, `export ... from`, `import(...)` and `import 'x'`. */
const statement =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?([^;'"]*?)\s*from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)\s*import\s+['"]([^'"]+)['"]/g;

export function importsOf(file: string): Import[] {
  const text = readFileSync(path.join('src', file), 'utf8').replace(/^\s*(\/\*[\s\S]*?\*\/|\/\/.*)$/gm, '');
  return [...text.matchAll(statement)].map(([, type, names = '', named, dynamic, bare]) => ({
    from: file,
    to: target(file, (named ?? dynamic ?? bare)!),
    typesOnly: type !== undefined || onlyTypes(names),
  }));
}

/** `{ type A, type B }` */
function onlyTypes(names: string): boolean {
  const inner = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
  const parts = inner?.split(',').flatMap((part) => part.trim() || []) ?? [];
  return parts.length > 0 && parts.every((part) => part.startsWith('type '));
}

function target(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) {
    const parts = specifier.split('/');
    return specifier.startsWith('@')
      ? parts.slice(0, 2).join('/')
      : specifier.startsWith('node:')
        ? specifier
        : parts[0]!;
  }
  const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier)).replace(/\.js$/, '');
  return resolved.startsWith('../') ? resolved.slice(3) : resolved;
}

/** The room of a file: its first folder, or its own name at the top. */
export function roomOf(file: string): string {
  return file.split('/')[0]!.replace(/\.ts$/, '');
}
