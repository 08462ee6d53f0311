import { Composer, type CST, LineCounter, Parser, type YAMLError } from 'yaml';
import { InvalidError } from '../base/errors.js';
import { Violations, wholeDocument } from './violations.js';

/** A document of ours is 12 deep. */
const maxDepth = 100;

/**
 * One YAML 1.2 document as plain values.
 * @throws InvalidError for syntax (field `line 3, column 7`), duplicate keys, unknown tags, more than one document.
 */
export function parseYaml(text: string): unknown {
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  // Composing recurses, and V8 aborts the process where a regular expression is compiled at the stack's end.
  if (depthOf(tokens) > maxDepth) throw whole(`nested deeper than ${maxDepth}`);
  const documents = [...new Composer({ lineCounter: lines, version: '1.2' }).compose(tokens, true, text.length)];
  const problems = new Violations();
  for (const document of documents) {
    for (const error of [...document.errors, ...document.warnings]) addProblem(error, { lines, problems });
  }
  problems.throwIfAny();
  if (documents.length > 1) throw whole(`${documents.length} documents in one text: give one, without "---" between`);
  try {
    return documents[0]!.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Aliases that multiply, or name themselves.
    throw whole(`cannot be read: ${(error as Error).message}`);
  }
}

function addProblem(error: YAMLError, { lines, problems }: { lines: LineCounter; problems: Violations }): void {
  const { line, col } = lines.linePos(error.pos[0]);
  problems.add(`line ${line}, column ${col}`, error.message);
}

function depthOf(tokens: readonly CST.Token[]): number {
  let deepest = 0;
  const pending = tokens.map((token) => ({ token, depth: 1 }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next;
    deepest = Math.max(deepest, depth);
    if (token.type === 'document' && token.value !== undefined) pending.push({ token: token.value, depth });
    if (!('items' in token)) continue;
    for (const { key, value } of token.items) {
      if (key) pending.push({ token: key, depth: depth + 1 });
      if (value) pending.push({ token: value, depth: depth + 1 });
    }
  }
  return deepest;
}

function whole(description: string): InvalidError {
  return new InvalidError([{ field: wholeDocument, description }]);
}
