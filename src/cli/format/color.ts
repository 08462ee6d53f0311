import picocolors from 'picocolors';

export type Paint = (text: string) => string;

export interface Palette {
  readonly good: Paint;
  readonly bad: Paint;
  readonly warn: Paint;
  readonly dim: Paint;
  readonly bold: Paint;
}

/** Colour is for people: only on a terminal, and not against NO_COLOR (https://no-color.org) or TERM=dumb. */
export function palette(options: { terminal: boolean; env: NodeJS.ProcessEnv }): Palette {
  const refused = (options.env['NO_COLOR'] ?? '') !== '' || options.env['TERM'] === 'dumb';
  const colors = picocolors.createColors(options.terminal && !refused);
  return { good: colors.green, bad: colors.red, warn: colors.yellow, dim: colors.dim, bold: colors.bold };
}
