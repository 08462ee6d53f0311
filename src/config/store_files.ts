import { constants } from 'node:fs';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';

/** The file operations of the store, an argument so that tests can refuse each of them. */
export interface StoreFiles {
  read(path: string): Promise<string>;
  /** Creates or truncates, writes, and returns when the bytes are on disk. */
  writeDurably(path: string, text: string): Promise<void>;
  /** A second name for the same file. */
  link(existing: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  /** Makes renames in this folder survive a power failure. */
  syncFolder(path: string): Promise<void>;
}

export const nodeFiles: StoreFiles = {
  read: (path) => readFile(path, 'utf8'),
  async writeDurably(path, text) {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  link,
  rename,
  remove: (path) => rm(path, { force: true }),
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o750 });
  },
  async syncFolder(path) {
    const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
};
