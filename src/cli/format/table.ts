import type { Paint } from './color.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Text, or text with the colour that it gets after padding. */
export type Cell = string | { readonly text: string; readonly paint: Paint };

/** Two spaces between columns, no trailing spaces, newline at the end of each line. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], header?: Paint): string {
  return new TableWriter(columns, header).write(rows);
}

/** Prints page after page under one header; a column grows when a page needs it. */
export class TableWriter {
  private readonly widths: number[];
  private started = false;

  constructor(
    private readonly columns: readonly Column[],
    private readonly header: Paint = (text) => text,
  ) {
    this.widths = columns.map((column) => column.title.length);
  }

  write(rows: readonly (readonly Cell[])[]): string {
    const clean = rows.map((row) => row.map((cell) => printable(textOf(cell))));
    for (const row of clean) {
      for (const [i, text] of row.entries()) this.widths[i] = Math.max(this.widths[i] ?? 0, text.length);
    }
    let out = '';
    if (!this.started) out += `${this.header(this.line(this.columns.map((column) => column.title)))}\n`;
    this.started = true;
    for (const [i, row] of clean.entries()) out += `${this.line(row, rows[i])}\n`;
    return out;
  }

  private line(texts: readonly string[], cells: readonly Cell[] = []): string {
    const parts = texts.map((text, i) => {
      const width = this.widths[i]!;
      const last = i === texts.length - 1;
      const padded = this.columns[i]!.align === 'right' ? text.padStart(width) : last ? text : text.padEnd(width);
      const cell = cells[i];
      return cell !== undefined && typeof cell !== 'string' ? cell.paint(padded) : padded;
    });
    return parts.join('  ').trimEnd();
  }
}

/** Lines of "NAME  value", the values aligned. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[], name: Paint): string {
  const width = Math.max(0, ...fields.map(([title]) => title.length));
  return fields.map(([title, value]) => `${name(title.padEnd(width))}  ${value}\n`.replace(/ +\n$/, '\n')).join('');
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

/** What comes over the network must not steer the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}
