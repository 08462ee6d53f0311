import { createHash } from 'node:crypto';
import { InvalidError } from '../base/errors.js';
import type { Handlers } from './implement.js';
import { toExplanation, toSession } from './messages.js';
import { decodePageToken, encodePageToken } from './page_token.js';
import type { SessionFilter, SessionPort } from './port.js';
import { readFilter, readFlow } from './session_filter.js';

const defaultPageSize = 1000;
const maxPageSize = 10_000;

export function sessionService(sessions: SessionPort): Handlers<'SessionService'> {
  return {
    list(request) {
      const filter = readFilter(request.filter);
      const limit = request.pageSize === 0 ? defaultPageSize : request.pageSize;
      if (limit > maxPageSize) throw invalid('pageSize', `${limit} is not within 1 to ${maxPageSize}`);
      const digest = digestOf(filter);
      const page = sessions.list(filter, { cursor: decodePageToken(request.pageToken, digest), limit });
      return {
        sessions: page.sessions.map(toSession),
        nextPageToken: page.nextCursor === null ? '' : encodePageToken(page.nextCursor, digest),
      };
    },
    explain: (request) => toExplanation(sessions.explain(readFlow(request))),
    async purge({ filter: given, all }) {
      const filter = readFilter(given);
      const filtered = Object.keys(filter).length > 0;
      if (all && filtered) throw invalid('all', 'set beside a filter: leave one of them out');
      if (!all && !filtered) throw invalid('filter', 'required, or all: true to remove every session');
      return { purged: await sessions.purge(all ? null : filter) };
    },
  };
}

function digestOf(filter: SessionFilter): string {
  return createHash('sha256').update(JSON.stringify(filter)).digest('base64url').slice(0, 8);
}

function invalid(field: string, description: string): InvalidError {
  return new InvalidError([{ field, description }]);
}
