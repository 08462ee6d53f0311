import { InvalidError } from '../base/errors.js';
import { duplicateKeys } from './json_duplicates.js';
import { wholeDocument } from './violations.js';
import { parseYaml } from './yaml.js';

const maxCharacters = 64 * 1024 * 1024;

/**
 * Text of YAML 1.2 or JSON to plain values. JSON takes a path of its own: it is 50 times as fast, which shows at
 * 50,000 backends.
 * @throws InvalidError for syntax (field `line 3, column 7`), duplicate keys, unknown tags, an empty document.
 */
export function parseText(text: string): unknown {
  if (text.length > maxCharacters) throw whole(`${text.length} characters; at most ${maxCharacters} are read`);
  const value = /^\s*[{[]/.test(text) ? (fromJson(text) ?? parseYaml(text)) : parseYaml(text);
  if (value === null || value === undefined) {
    throw whole('the document is empty: write {} where nothing at all is meant');
  }
  return value;
}

/** Undefined for what is no JSON: it may be YAML's flow style, or YAML's parser words the error, with its line. */
function fromJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const twice = duplicateKeys(text);
  if (twice.length > 0) throw new InvalidError(twice.map((field) => ({ field, description: 'given twice' })));
  return value;
}

function whole(description: string): InvalidError {
  return new InvalidError([{ field: wholeDocument, description }]);
}
