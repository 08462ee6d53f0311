/** google.protobuf.Timestamp and Duration as the client delivers them. */
export interface ProtoTime {
  readonly seconds: bigint;
  readonly nanos: number;
}

export function toMs(time: ProtoTime): number {
  return Number(time.seconds) * 1000 + time.nanos / 1e6;
}

/** "350 us", "12.5 ms", "1.25 s", "42 s", "3m 20s", "4h 05m", "3d 04h". */
export function formatDuration(ms: number): string {
  const positive = Math.max(0, ms);
  if (positive === 0) return '0 s';
  if (positive < 1) return `${Math.round(positive * 1000)} us`;
  if (positive < 999.5) return `${positive < 99.95 ? positive.toFixed(1) : positive.toFixed(0)} ms`;
  if (positive < 9_995) return `${(positive / 1000).toFixed(2)} s`;
  const seconds = Math.round(positive / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86_400)];
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${days}d ${two(hours % 24)}h`;
}

/** In whole seconds below a minute, for columns of ages: "0s", "42s", "3m 20s". */
export function formatAge(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  return seconds < 60 ? `${seconds}s` : formatDuration(seconds * 1000);
}

/** "2026-01-02 03:04:05Z": UTC, so that nodes can be compared. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of "500ms", "300s", "5m", "1h" or plain seconds "30"; null when it is none of these. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (match === null) return null;
  return Number(match[1]) * unitMs[match[2] ?? 's']!;
}

const agoMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const isoPattern = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/;

/** Milliseconds of "2026-01-31", "2026-01-31T14:00Z" (UTC unless it says otherwise), or of so long before now: "90m", "12h", "7d". */
export function parseMoment(text: string, nowMs: number): number | null {
  const ago = /^(\d{1,6})(m|h|d)$/.exec(text.trim());
  if (ago !== null) return nowMs - Number(ago[1]) * agoMs[ago[2]!]!;
  const iso = isoPattern.exec(text.trim());
  // Date.parse takes 31 February for a day in March.
  if (iso === null || dayOf(Date.parse(`${iso[1]}T00:00Z`)) !== iso[1]) return null;
  const ms = Date.parse(`${iso[1]}T${iso[2] ?? '00:00'}${iso[3] ?? 'Z'}`);
  return Number.isNaN(ms) ? null : ms;
}

function dayOf(ms: number): string {
  return Number.isNaN(ms) ? '' : new Date(ms).toISOString().slice(0, 10);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
