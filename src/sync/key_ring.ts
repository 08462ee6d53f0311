import { readFileSync } from 'node:fs';
import { InvalidError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { SyncKey } from '../dataplane/addon.js';
import { formatKeyId, KeyError, keyFromSecret, parseKeys } from './keys.js';
import type { Clock } from './ports.js';

const LOOK_MS = 1000;

export interface KeyRingOptions {
  readonly keyFile: string | null;
  readonly clusterSecret: Uint8Array | null;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: (keys: readonly SyncKey[]) => void;
}

/** The keys in force. Their file is looked at each second; one that is broken leaves them as they are. */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #cancel: () => void;
  #keys: readonly SyncKey[];
  #text = '';
  #problem: string | null = null;
  #stop: (() => void) | null = null;

  /** @throws InvalidError when there is no key to begin with. */
  constructor(options: KeyRingOptions) {
    this.#options = options;
    this.#keys = this.#first();
    this.#cancel = () => this.#stop?.();
    if (options.keyFile !== null) this.#lookLater();
  }

  keys(): readonly SyncKey[] {
    return this.#keys;
  }

  problems(): readonly string[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  close(): void {
    this.#cancel();
  }

  #first(): readonly SyncKey[] {
    const { keyFile, clusterSecret } = this.#options;
    if (keyFile === null) {
      if (clusterSecret !== null) return [keyFromSecret(clusterSecret)];
      const description = 'datagrams need a key that all nodes share: set clusterSecretFile, or sync.keyFile';
      throw new InvalidError([{ field: 'sync', description }]);
    }
    try {
      this.#text = readFileSync(keyFile, 'latin1');
      return parseKeys(this.#text);
    } catch (error) {
      const description = `${keyFile} cannot be used: ${(error as Error).message}`;
      throw new InvalidError([{ field: 'sync.keyFile', description }]);
    }
  }

  #lookLater(): void {
    this.#stop = this.#options.clock.after(LOOK_MS, () => {
      this.#look(this.#options.keyFile!);
      this.#lookLater();
    });
  }

  #look(file: string): void {
    const { log, onChange } = this.#options;
    try {
      const text = readFileSync(file, 'latin1');
      if (text === this.#text && this.#problem === null) return;
      const keys = parseKeys(text);
      const isOther = text !== this.#text;
      this.#text = text;
      this.#problem = null;
      if (!isOther) return;
      const [before, after] = [this.#keys, keys].map((list) => list.map(({ id }) => formatKeyId(id)));
      this.#keys = keys;
      onChange(keys);
      log.info(
        { before, after },
        `sync keys: ${after![0]} signs, ${after!.join(', ')} are accepted (before: ${before!.join(', ')})`,
      );
    } catch (error) {
      const what = error instanceof KeyError ? error.message : `it cannot be read: ${(error as Error).message}`;
      const problem = `sync.keyFile ${file}: ${what}; the keys before stay in force`;
      if (problem !== this.#problem) log.error({ err: error }, problem);
      this.#problem = problem;
    }
  }
}
