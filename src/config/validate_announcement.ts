import type * as message from '../api/generated/messages.generated.js';
import { type Announcement, plainAnnouncement } from './desired.js';
import { type At, checkZone, rangeOr, Unique } from './rules.js';
import { show } from './violations.js';

const maxPrepend = 16;
const maxCommunities = 32;

/** Who announces a LoadBalancer's VIPs: nodes of which zones. */
export function readZones(
  { primaryZone, secondaryZone }: message.LoadBalancer,
  { path, violations }: At,
): { readonly primaryZone: string; readonly secondaryZone: string } {
  checkZone(primaryZone, { path: `${path}.primaryZone`, violations });
  checkZone(secondaryZone, { path: `${path}.secondaryZone`, violations });
  if (secondaryZone !== '' && primaryZone === '') {
    violations.add(
      `${path}.secondaryZone`,
      `"${secondaryZone}" takes over from a primary zone: set primaryZone, or leave secondaryZone out`,
    );
  } else if (secondaryZone !== '' && secondaryZone === primaryZone) {
    violations.add(
      `${path}.secondaryZone`,
      `"${secondaryZone}" is the primary zone: name another, or leave secondaryZone out`,
    );
  }
  return { primaryZone, secondaryZone };
}

export function readAnnouncement(from: message.Announcement | null, { path, violations }: At): Announcement {
  if (from === null) return plainAnnouncement;
  const { keepWhenEmpty, med = null, prepend, communities } = from;
  const inside = (field: string): At => ({ path: `${path}.${field}`, violations });
  const minimumHealthyBackends = rangeOr(
    from.minimumHealthyBackends,
    { min: 1, max: 65_535, unset: plainAnnouncement.minimumHealthyBackends },
    inside('minimumHealthyBackends'),
  );
  if (prepend > maxPrepend) {
    violations.add(`${path}.prepend`, `${prepend} is not within 0 to ${maxPrepend}: routers may refuse longer paths`);
  }
  checkCommunities(communities, inside('communities'));
  return { minimumHealthyBackends, keepWhenEmpty, med, prepend, communities };
}

function checkCommunities(communities: readonly string[], { path, violations }: At): void {
  if (communities.length > maxCommunities) {
    violations.add(path, `${communities.length} communities; at most ${maxCommunities}`);
  }
  const known = new Unique('community', violations, (index) => `${path}[${index}]`);
  communities.forEach((community, index) => {
    known.add(community, index);
    if (isCommunity(community)) return;
    violations.add(
      `${path}[${index}]`,
      `${show(community)} is no community: two numbers up to 65535 ("65000:100"), or, of a large one, three up to ` +
        '4294967295 ("65000:1:2")',
    );
  });
}

/** As BIRD writes them: RFC 1997, RFC 8092. */
function isCommunity(text: string): boolean {
  if (!/^(0|[1-9]\d{0,9})(:(0|[1-9]\d{0,9})){1,2}$/.test(text)) return false;
  const numbers = text.split(':').map(Number);
  const most = numbers.length === 2 ? 0xffff : 0xffff_ffff;
  return numbers.every((number) => number <= most);
}
