import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { printable } from '../format/table.js';
import { counted } from '../format/units.js';

export function formatApplied(
  response: messages.ApplyResponse,
  options: { validateOnly: boolean; paint: Palette },
): string {
  const { steps, stepCount, version, changed } = response;
  const { validateOnly, paint } = options;
  const width = String(steps.length).length;
  let out = steps.map((step, i) => `${paint.dim(String(i + 1).padStart(width))}  ${printable(step)}\n`).join('');
  if (stepCount > steps.length) out += paint.dim(`... and ${counted(stepCount - steps.length, 'more step')}\n`);
  const done = counted(stepCount, 'step');
  if (validateOnly) {
    const would = changed ? `would be done: ${done}` : 'would change nothing';
    return `${out}${paint.good('valid')}; ${would}; version ${version} stays in force\n`;
  }
  return changed
    ? `${out}${paint.good('applied')}: version ${version}, ${done}\n`
    : `${out}unchanged: version ${version} is in force\n`;
}
