/** Prometheus text exposition format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8';

export type SampleType = 'counter' | 'gauge';

/** The two comment lines that open a family; all of its samples must follow in one block. */
export function familyHeader(name: string, type: SampleType, help: string): string {
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
}

/** `{a="1",b="2"}`; an empty text without labels. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | bigint];

/** A family without samples is left out: a header alone says nothing. */
export function block(name: string, type: SampleType, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  return (
    familyHeader(name, type, help) + samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`).join('')
  );
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(value: string): string {
  // Names are plain by validation, so the three replacements would nearly always be for nothing.
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
