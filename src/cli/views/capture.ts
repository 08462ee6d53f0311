import type { messages } from '../../api/client.js';
import type { Palette } from '../format/color.js';
import { describeFrame } from '../format/frame.js';

/** What became of a packet: "to be2 (web/http)", "drop: no_listener". */
export function captureComment(packet: messages.CapturedPacket): string {
  const listener = packet.loadBalancer === '' ? '' : ` (${packet.loadBalancer}/${packet.listener})`;
  if (packet.verdict === 'forward')
    return `to ${packet.backend === '' ? 'a removed backend' : packet.backend}${listener}`;
  return `${packet.verdict}: ${packet.reason}${listener}`;
}

export function formatCaptured(
  packet: messages.CapturedPacket,
  { interfaceName, paint }: { interfaceName: string; paint: Palette },
): string {
  const said = captureComment(packet);
  const coloured = packet.verdict === 'drop' ? paint.bad(said) : packet.verdict === 'pass' ? paint.dim(said) : said;
  return `${clock(packet.at)} ${interfaceName} ${describeFrame(packet.data)} ${packet.originalLength} B  ${coloured}`;
}

/** Time of day, UTC, to the microsecond. */
function clock(at: messages.Timestamp | null): string {
  if (at === null) return '-';
  const day = new Date(Number(at.seconds) * 1000).toISOString().slice(11, 19);
  return `${day}.${String(Math.floor(at.nanos / 1000)).padStart(6, '0')}`;
}
