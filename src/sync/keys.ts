import { createHash, hkdfSync } from 'node:crypto';
import type { SyncKey } from '../dataplane/addon.js';

export const KEY_BYTES = 32;
const MAX_KEYS = 8;
const line = /^[0-9a-f]{64}$/i;

/** What is wrong with a key file, with the remedy; never the key itself. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** The key's number in datagrams and tokens. */
export function keyOf(key: Uint8Array): SyncKey {
  const id = createHash('sha256').update('spillway sync key id v1\0').update(key).digest().readUInt32LE(0);
  return { id, key };
}

/** Of a cluster that has a secret and no key file. */
export function keyFromSecret(secret: Uint8Array): SyncKey {
  return keyOf(new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), 'spillway sync key v1', KEY_BYTES)));
}

/**
 * 64 hexadecimal digits a line; "#" begins a comment. The first signs, all are accepted.
 * @throws KeyError naming the line.
 */
export function parseKeys(text: string): SyncKey[] {
  const keys: SyncKey[] = [];
  text.split('\n').forEach((raw, index) => {
    const content = raw.replace(/#[\s\S]*$/, '').trim();
    if (content === '') return;
    if (!line.test(content)) {
      throw new KeyError(
        `line ${index + 1} has ${content.length} characters and is no key: 64 hexadecimal digits, as openssl rand -hex 32 gives`,
      );
    }
    const key = keyOf(Buffer.from(content, 'hex'));
    const twin = keys.findIndex(({ id }) => id === key.id);
    if (twin >= 0) throw new KeyError(`line ${index + 1} is key ${formatKeyId(key.id)} again: give each key once`);
    keys.push(key);
  });
  if (keys.length === 0) throw new KeyError('it holds no key: put one in by openssl rand -hex 32');
  if (keys.length > MAX_KEYS) {
    throw new KeyError(`it holds ${keys.length} keys, ${MAX_KEYS} at most: remove those that no node signs by`);
  }
  return keys;
}

export function formatKeyId(id: number): string {
  return id.toString(16).padStart(8, '0');
}
