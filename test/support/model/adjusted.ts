import { internetChecksum } from '../checksum.js';

/**
 * A checksum after some of what it is of has changed. Nothing is assumed of the old one: by how much it was wrong, so
 * much the new one is. `before` and `after` begin at an even place.
 */
export function adjusted(checksum: number, before: Uint8Array, after: Uint8Array): number {
  const sum = (~checksum & 0xffff) + internetChecksum(before) + (~internetChecksum(after) & 0xffff);
  const folded = (sum & 0xffff) + (sum >> 16);
  return ~((folded & 0xffff) + (folded >> 16)) & 0xffff;
}
