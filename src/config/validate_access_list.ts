import type * as message from '../api/generated/messages.generated.js';
import type { AccessList } from './desired.js';
import { readEntries } from './entries.js';
import { type At, checkName, checkText } from './rules.js';

/** What can be said of an access list without looking at any other resource. */
export function readAccessList(from: message.AccessList, { path, violations }: At): AccessList {
  checkName(from.name, { path: `${path}.name`, violations });
  checkText(from.description, 1024, { path: `${path}.description`, violations });
  return {
    name: from.name,
    entries: readEntries(from.entries, { path: `${path}.entries`, violations }),
    description: from.description,
  };
}
