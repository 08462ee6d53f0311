/** Numbers as people read them. Three significant digits where a unit is chosen; exact where it fits. */

const si = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const iec = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** "0", "9,999", "12.3k", "4.56M". */
export function formatCount(count: number | bigint): string {
  const value = Number(count);
  if (value < 10_000) return groupDigits(Math.round(value));
  const [scaled, power] = scale(value, 1000, si.length);
  return `${scaled}${si[power]}`;
}

/** Every digit, in groups of three: "1,204,500". */
export function groupDigits(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "1 session", "1,204 sessions"; for words whose plural is an s. */
export function counted(count: number | bigint, word: string): string {
  return `${groupDigits(count)} ${word}${Number(count) === 1 ? '' : 's'}`;
}

/** "512 B", "1.50 KiB", "3.42 TiB". */
export function formatBytes(bytes: number | bigint): string {
  const value = Number(bytes);
  if (value < 1024) return `${Math.round(value)} B`;
  const [scaled, power] = scale(value, 1024, iec.length);
  return `${scaled} ${iec[power]}`;
}

/** Events each second: "0", "0.50", "12.3k". */
export function formatRate(perSecond: number): string {
  if (perSecond === 0) return '0';
  if (perSecond < 10) return perSecond.toFixed(2);
  if (perSecond < 100) return perSecond.toFixed(1);
  return formatCount(perSecond);
}

/** Bits each second from bytes each second: "0 b/s", "9.60 Gb/s". */
export function formatBitRate(bytesPerSecond: number): string {
  const bits = bytesPerSecond * 8;
  if (bits < 1000) return `${Math.round(bits)} b/s`;
  const [scaled, power] = scale(bits, 1000, si.length);
  return `${scaled} ${si[power]}b/s`;
}

/** A share as "28.7 %". */
export function formatShare(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((part / whole) * 100).toFixed(1)} %`;
}

function scale(value: number, base: number, powers: number): [string, number] {
  let power = 0;
  let scaled = value;
  // 999.95 would print as 1000: such a value belongs to the next unit.
  while (scaled >= base - 0.5 && power < powers - 1) {
    scaled /= base;
    power++;
  }
  return [scaled >= 99.95 ? scaled.toFixed(0) : scaled >= 9.995 ? scaled.toFixed(1) : scaled.toFixed(2), power];
}
