import { join } from './violations.js';

const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gs;

interface Level {
  /** Of an object; null for a list. */
  readonly keys: Set<string> | null;
  readonly path: string;
  index: number;
  key: string;
  expectsKey: boolean;
}

/** Paths of the keys that an object of this JSON text has twice. JSON.parse would silently keep the last. */
export function duplicateKeys(json: string): string[] {
  const found: string[] = [];
  const stack: Level[] = [];
  for (const [text] of json.matchAll(token)) {
    const level = stack.at(-1);
    if (text === '{' || text === '[') {
      const path = level === undefined ? '' : here(level);
      stack.push({ keys: text === '{' ? new Set() : null, path, index: 0, key: '', expectsKey: text === '{' });
    } else if (text === '}' || text === ']') {
      stack.pop();
    } else if (level !== undefined && text === ',') {
      level.index++;
      level.expectsKey = level.keys !== null;
    } else if (level?.expectsKey && text !== ':') {
      level.key = JSON.parse(text) as string;
      level.expectsKey = false;
      if (level.keys!.has(level.key)) found.push(here(level));
      level.keys!.add(level.key);
    }
  }
  return found;
}

function here(level: Level): string {
  return level.keys === null ? `${level.path}[${level.index}]` : join(level.path, level.key);
}
