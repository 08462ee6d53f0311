import { InvalidError } from '../base/errors.js';

const prefix = 'p1.';

/** Opaque to clients, so that its content may change; the filter's digest keeps a token from another listing out. */
export function encodePageToken(cursor: number, filterDigest: string): string {
  return prefix + Buffer.from(`${cursor}.${filterDigest}`).toString('base64url');
}

/** The cursor; 0 for no token. @throws InvalidError for a token that this filter did not give. */
export function decodePageToken(token: string, filterDigest: string): number {
  if (token === '') return 0;
  const text = token.startsWith(prefix) ? Buffer.from(token.slice(prefix.length), 'base64url').toString() : '';
  const match = /^(\d{1,15})\.(.+)$/.exec(text);
  if (match === null) throw refused('is none of this agent: begin again without one');
  if (match[2] !== filterDigest) throw refused('is of a listing with another filter: begin again without one');
  return Number(match[1]);
}

function refused(description: string): InvalidError {
  return new InvalidError([{ field: 'pageToken', description }]);
}
