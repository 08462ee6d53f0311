import { parseDocument } from 'yaml';
import { InvalidError } from '../base/errors.js';
import { duplicateKeys } from './json_duplicates.js';
import { Violations } from './violations.js';

/** Field name of a violation that concerns the text as a whole. */
export const wholeDocument = '(document)';

const maxBytes = 64 * 1024 * 1024;

/**
 * Text of YAML 1.2 or JSON to plain values. JSON takes a path of its own: it is 50 times as fast, which shows at
 * 50,000 backends.
 * @throws InvalidError for syntax (field `line 3, column 7`), duplicate keys, unknown tags, an empty document.
 */
export function parseText(text: string): unknown {
  if (text.length > maxBytes) throw whole(`${text.length} characters; at most ${maxBytes} are read`);
  const value = looksLikeJson(text) ? (fromJson(text) ?? fromYaml(text)) : fromYaml(text);
  if (value === null || value === undefined) {
    throw whole('the document is empty: write {} where nothing at all is meant');
  }
  return value;
}

function looksLikeJson(text: string): boolean {
  return /^\s*[{[]/.test(text);
}

function fromJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // May be YAML's flow style; else YAML's parser words the error, with its line.
    return undefined;
  }
  const twice = duplicateKeys(text);
  if (twice.length > 0) throw new InvalidError(twice.map((field) => ({ field, description: 'given twice' })));
  return value;
}

function fromYaml(text: string): unknown {
  try {
    const document = parseDocument(text, { logLevel: 'silent', prettyErrors: true, version: '1.2' });
    const problems = new Violations();
    for (const { linePos, message } of [...document.errors, ...document.warnings]) {
      const at = linePos?.[0];
      problems.add(at === undefined ? wholeDocument : `line ${at.line}, column ${at.col}`, firstLine(message));
    }
    problems.throwIfAny();
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof InvalidError) throw error;
    // Aliases that explode, nesting deeper than the stack.
    throw whole(`cannot be read as YAML or JSON: ${firstLine(error instanceof Error ? error.message : String(error))}`);
  }
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
}

function whole(description: string): InvalidError {
  return new InvalidError([{ field: wholeDocument, description }]);
}
