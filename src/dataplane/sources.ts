import { familyOf, type Ip, ipToBytes } from '../base/ip.js';
import { type FlowKey, sourceCellsOf } from '../compile/fingerprint.js';
import type { BpfMap } from './addon.js';

/** What bpf/source.h remembers of clients. */
export class SourceCells {
  readonly #cells: BigUint64Array;

  constructor(map: BpfMap) {
    this.#cells = new BigUint64Array(map.mmap());
  }

  /** Of one client with one limit: until when its new sessions use up the rate. */
  busyUntil(client: Ip, limit: number, key: FlowKey): bigint {
    const source = { source: ipToBytes(client), v6: familyOf(client) === 6 };
    const [one, other] = sourceCellsOf(source, { limit, cells: this.#cells.length, key });
    const [first, second] = [this.#cells[one]!, this.#cells[other]!];
    return BigInt.asIntN(64, first - second) < 0n ? first : second;
  }
}
