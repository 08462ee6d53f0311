import { root } from '../api/codec.js';
import type { Config } from '../api/generated/messages.generated.js';
import { readMessage } from './mapping.js';
import { parseText } from './text.js';
import { Violations } from './violations.js';

const type = root.lookupType('spillway.v1.Config');

/**
 * A configuration document (YAML or JSON, the protobuf JSON mapping of Config) as a message, not yet validated.
 * @throws InvalidError naming every field that is unknown, given twice or of the wrong type.
 */
export function readDocument(text: string): Config {
  return readConfig(parseText(text));
}

/** The same from values already parsed. */
export function readConfig(values: unknown): Config {
  const violations = new Violations();
  const message = readMessage(type, values, '', violations);
  violations.throwIfAny();
  return message as unknown as Config;
}
