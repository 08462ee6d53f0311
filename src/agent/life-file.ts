import path from 'node:path';
import { nodeFiles, type StoreFiles } from '../config/store_files.js';

/**
 * That this node was drained, over restarts of its agent and of its host. The file's being there says it, whatever is in
 * it: a damaged one cannot bring a node back that somebody took out.
 */
export class LifeFile {
  readonly #path: string;

  constructor(
    stateDirectory: string,
    private readonly files: StoreFiles = nodeFiles,
  ) {
    this.#path = path.join(stateDirectory, 'drained');
  }

  async isWithdrawn(): Promise<boolean> {
    try {
      await this.files.read(this.#path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  /** On disk when it resolves. */
  async setWithdrawn(withdrawn: boolean): Promise<void> {
    if (withdrawn) {
      await this.files.writeDurably(this.#path, 'drained; "spillway node activate" removes this file\n');
    } else {
      await this.files.remove(this.#path);
    }
    await this.files.syncFolder(path.dirname(this.#path));
  }
}

/**
 * At a start. What cannot be read is neither: a node that announces was not drained, any other one stays out of service,
 * for somebody may have taken it out, until it is activated.
 */
export async function withdrawnAtStart(
  file: Pick<LifeFile, 'isWithdrawn'>,
  { announces }: { readonly announces: boolean },
): Promise<{ readonly withdrawn: boolean; readonly fault: string }> {
  try {
    return { withdrawn: await file.isWithdrawn(), fault: '' };
  } catch (error) {
    const counts = announces ? 'announces, so it goes on' : 'counts as drained until "spillway node activate"';
    const fault = `whether this node was drained cannot be read from the state directory (${(error as Error).message}): it ${counts}; mend the disk`;
    return { withdrawn: !announces, fault };
  }
}
