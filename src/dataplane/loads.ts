import { loadOffset, loadSize } from '../abi/abi.generated.js';
import type { BpfMap } from './addon.js';

const WORDS = loadSize / 8;
const KNOWN = loadOffset.known / 8;
const MADE = loadOffset.made / 8;

/**
 * Sessions of backends whose listeners send to the least loaded. The data path counts on from what a sweep found:
 * what begins while the sweep walks may be counted twice until the next, and is never lost.
 */
export class Loads {
  readonly #words: BigInt64Array;

  constructor(map: BpfMap) {
    this.#words = new BigInt64Array(map.mmap());
  }

  /** Sessions of this backend, as the data path sees it. */
  of(backend: number): number {
    return Number(this.#words[backend * WORDS + KNOWN]! + this.#words[backend * WORDS + MADE]!);
  }

  /** Before a sweep. The result takes what the sweep counted. */
  count(backends: readonly number[]): (counted: Uint32Array) => void {
    const made = backends.map((id) => this.#words[id * WORDS + MADE]!);
    return (counted) => {
      backends.forEach((id, i) => {
        this.#words[id * WORDS + KNOWN] = BigInt(counted[id]!) - made[i]!;
      });
    };
  }

  /** Of a number that is given out anew. */
  reset(backend: number): void {
    this.#words[backend * WORDS + KNOWN] = -this.#words[backend * WORDS + MADE]!;
  }
}
