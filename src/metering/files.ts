import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The file operations of metering, an argument so that tests can refuse each of them, or crash in it. */
export interface MeteringFiles {
  makeFolder(path: string): Promise<void>;
  /** Names; none where there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Null: no such file. So for `size`. */
  read(path: string): Promise<string | null>;
  size(path: string): Promise<number | null>;
  /** As many of them as there are. */
  readAt(path: string, range: { offset: number; length: number }): Promise<Buffer>;
  /** Makes the file where it is missing. On disk when it resolves; a part may be when it rejects. */
  writeAt(path: string, write: { offset: number; bytes: Buffer }): Promise<void>;
  truncate(path: string, size: number): Promise<void>;
  /** On disk when it resolves; at every moment the file is the old one or the new one, whole. */
  replace(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const nodeFiles: MeteringFiles = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o750 });
  },
  list: (folder) => readdir(folder).catch(orWhenMissing([])),
  read: (path) => readFile(path, 'utf8').catch(orWhenMissing(null)),
  size: (path) => stat(path).then(({ size }) => size, orWhenMissing(null)),
  async readAt(path, { offset, length }) {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },
  async writeAt(path, { offset, bytes }) {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o640);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(dirname(path));
  },
  async truncate(path, size) {
    const file = await open(path, 'r+');
    try {
      await file.truncate(size);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  async replace(path, text) {
    const fresh = `${path}.new`;
    try {
      const file = await open(fresh, 'w', 0o640);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    } catch (error) {
      // What is left of it takes the room that the next try needs.
      await rm(fresh, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(dirname(path));
  },
  rename,
  remove: (path) => rm(path, { force: true }),
};

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function orWhenMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
