/** Records of a ring as RingReader packs them: u32 length, then the record padded to 8 bytes. A torn end is left out. */
export function* recordsIn(records: Uint8Array): Generator<DataView> {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at + 4 <= records.byteLength; ) {
    const length = view.getUint32(at, true);
    const start = at + 4;
    at = start + ((length + 7) & ~7);
    if (start + length <= records.byteLength) {
      yield new DataView(records.buffer, records.byteOffset + start, length);
    }
  }
}
