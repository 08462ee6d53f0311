import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { formatTable, printable } from '../format/table.js';
import { groupDigits } from '../format/units.js';

export interface ListSummary {
  readonly name: string;
  readonly entryCount: number;
  readonly usedBy: readonly { readonly loadBalancer: string; readonly listener: string; readonly mode: string }[];
  readonly description: string;
}

export function summaries({ accessLists, loadBalancers }: messages.Config): readonly ListSummary[] {
  return accessLists.map(({ name, entries, description }) => ({
    name,
    entryCount: entries.length,
    usedBy: loadBalancers.flatMap((balancer) =>
      balancer.listeners
        .filter(({ accessControl }) => accessControl?.accessList === name)
        .map(({ name: listener, accessControl }) => {
          return { loadBalancer: balancer.name, listener, mode: accessControl!.mode };
        }),
    ),
    description,
  }));
}

export function formatSummaries(lists: readonly ListSummary[], paint: Palette): string {
  const columns = [
    { title: 'NAME' },
    { title: 'ENTRIES', align: 'right' as const },
    { title: 'USED BY' },
    { title: 'DESCRIPTION' },
  ];
  const rows = lists.map((list) => [list.name, groupDigits(list.entryCount), users(list), list.description]);
  return formatTable(columns, rows, paint.bold);
}

/** Each entry on its line, under a comment: what "set -f" takes. */
export function formatList(list: messages.AccessList, summary: ListSummary): string {
  const about = list.description === '' ? '' : `# ${printable(list.description)}\n`;
  const head = `# ${list.name}: ${countEntries(list.entries.length)}, ${users(summary)}\n`;
  return `${head}${about}${list.entries.map((entry) => `${entry}\n`).join('')}`;
}

export function countEntries(count: number): string {
  return `${groupDigits(count)} ${count === 1 ? 'entry' : 'entries'}`;
}

function users({ usedBy }: ListSummary): string {
  if (usedBy.length === 0) return 'not used';
  return usedBy.map(({ loadBalancer, listener, mode }) => `${mode} at ${loadBalancer}/${listener}`).join(', ');
}
