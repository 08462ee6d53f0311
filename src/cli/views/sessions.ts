import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import type { Cell, Column } from '../format/table.js';
import { formatAge, type ProtoTime, toMs } from '../format/time.js';
import { formatEndpoint } from '../names.js';

export const sessionColumns: readonly Column[] = [
  { title: 'PROTO' },
  { title: 'CLIENT' },
  { title: 'VIP' },
  { title: 'LISTENER' },
  { title: 'BACKEND' },
  { title: 'STATE' },
  { title: 'AGE', align: 'right' },
  { title: 'IDLE', align: 'right' },
  { title: 'EXPIRES', align: 'right' },
];

export function sessionRow(session: messages.Session, paint: Palette): Cell[] {
  return [
    session.protocol,
    // Source persistence is a client's, whatever port it comes from.
    session.state === 'SOURCE' ? session.client : formatEndpoint(session.client, session.clientPort),
    formatEndpoint(session.vip, session.vipPort),
    `${session.loadBalancer}/${session.listener}`,
    `${session.backendGroup}/${session.backend}`,
    stateCell(session.state, paint),
    age(session.age),
    age(session.idle),
    age(session.expiresIn),
  ];
}

function stateCell(state: messages.SessionState, paint: Palette): Cell {
  const text = String(state).toLowerCase();
  if (state === 'ESTABLISHED') return { text, paint: paint.good };
  return { text, paint: paint.dim };
}

export function age(time: ProtoTime | null): string {
  return time === null ? '-' : formatAge(toMs(time));
}
