/** The demo claims nothing that it has not looked at: what is not as it should be ends it. */
export class Unexpected extends Error {
  override readonly name = 'Unexpected';

  constructor(
    readonly expected: string,
    readonly seen: string,
  ) {
    super(`expected ${expected}, saw ${seen}`);
  }
}

/** @throws Unexpected */
export function expect(holds: boolean, expected: string, seen: string): asserts holds {
  if (!holds) throw new Unexpected(expected, seen);
}

/** The first few of them, and how many more. */
export function some(list: readonly string[], most = 5): string {
  if (list.length === 0) return 'none';
  const rest = list.length - most;
  return list.slice(0, most).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
}
