import * as abi from '../abi/abi.generated.js';
import type { Ip } from '../base/ip.js';
import { ipToBytes } from '../base/ip.js';
import { AccessEntries } from '../compile/access-entries.js';
import type { BpfMap } from './addon.js';

/** Entries read in one go: a millisecond or two. */
const PAGE = 1024;

/** The trie of all access lists. */
export class AccessMap {
  constructor(private readonly map: BpfMap) {}

  add(list: number, entries: AccessEntries): void {
    const values = new Uint8Array(new Uint32Array(entries.count).fill(1).buffer);
    this.map.updateBatch(entries.keys(list), values, entries.count);
  }

  remove(list: number, entries: AccessEntries): void {
    this.map.deleteBatch(entries.keys(list), entries.count);
  }

  /** All at once: a tenth of a second for 100,000 entries. */
  read(): Map<number, AccessEntries> {
    const pages: Uint8Array[] = [];
    for (const page of this.#pages()) pages.push(page);
    return AccessEntries.byList(Buffer.concat(pages));
  }

  /** As read, with a turn for others after each page. What changes meanwhile may be missing or not. */
  async readInTurns(): Promise<Map<number, AccessEntries>> {
    const pages: Uint8Array[] = [];
    for (const page of this.#pages()) {
      pages.push(page);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return AccessEntries.byList(Buffer.concat(pages));
  }

  *#pages(): Generator<Uint8Array> {
    let cursor: Uint8Array | null = null;
    do {
      const page: ReturnType<BpfMap['entriesFrom']> = this.map.entriesFrom(cursor, PAGE);
      yield page.keys;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** Does the list name this client? The kernel's own answer. */
  holds(list: number, client: Ip): boolean {
    const key = new Uint8Array(abi.accessKeySize);
    const v6 = client.includes(':') ? 1 : 0;
    abi.writeAccessKey(new DataView(key.buffer), 0, { bits: 160, list, v6, client: ipToBytes(client) });
    return this.map.lookup(key) !== null;
  }
}
