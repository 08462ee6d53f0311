import test from 'ava';
import { formatAge, formatDuration, formatTime, parseDuration, parseMoment } from '../../../src/cli/format/time.js';
import {
  formatBitRate,
  formatBytes,
  formatCount,
  formatRate,
  formatShare,
  groupDigits,
} from '../../../src/cli/format/units.js';

function table<In>(
  title: string,
  format: (value: In) => string | number | null,
  rows: readonly (readonly [In, unknown])[],
) {
  test(title, (t) => {
    for (const [value, wanted] of rows) t.is(format(value), wanted as string, String(value));
  });
}

table<number | bigint>('counts are exact below ten thousand, then have three digits and a unit', formatCount, [
  [0, '0'],
  [9_999, '9,999'],
  [10_000, '10.0k'],
  [123_456, '123k'],
  [999_499, '999k'],
  [999_999, '1.00M'],
  [9_996_000, '10.0M'],
  [18_446_744_073_709_551_615n, '18.4E'],
]);

table<number | bigint>('every digit, in groups of three', groupDigits, [
  [0, '0'],
  [999, '999'],
  [1000, '1,000'],
  [1_204_500n, '1,204,500'],
]);

table<number | bigint>('bytes have IEC units', formatBytes, [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.00 KiB'],
  [1536, '1.50 KiB'],
  [1024 ** 2 - 1, '1.00 MiB'],
  [3n * 1024n ** 4n, '3.00 TiB'],
]);

table<number>('bit rates have SI units', formatBitRate, [
  [0, '0 b/s'],
  [125, '1.00 kb/s'],
  [1_200_000_000, '9.60 Gb/s'],
]);

table<number>('small rates keep their decimals', formatRate, [
  [0, '0'],
  [0.5, '0.50'],
  [12.34, '12.3'],
  [345, '345'],
  [1_234_567, '1.23M'],
]);

test('a share of nothing is 0 %', (t) => {
  t.is(formatShare(1, 0), '0 %');
  t.is(formatShare(287, 1000), '28.7 %');
});

table<number>('durations from microseconds to days', formatDuration, [
  [0, '0 s'],
  [0.35, '350 us'],
  [12.5, '12.5 ms'],
  [999.7, '1.00 s'],
  [1250, '1.25 s'],
  [42_000, '42 s'],
  [59_700, '1m 00s'],
  [200_000, '3m 20s'],
  [4 * 3_600_000 + 5 * 60_000, '4h 05m'],
  [(3 * 24 + 4) * 3_600_000, '3d 04h'],
]);

table<number>('ages are whole seconds, and never negative when clocks differ', formatAge, [
  [-5000, '0s'],
  [999, '0s'],
  [42_999, '42s'],
  [90_000, '1m 30s'],
]);

test('times are UTC', (t) => {
  t.is(formatTime(Date.UTC(2026, 0, 2, 3, 4, 5, 600)), '2026-01-02 03:04:05Z');
});

table<string>('durations are read with their unit; plain numbers are seconds', parseDuration, [
  ['500ms', 500],
  ['300s', 300_000],
  ['1.5m', 90_000],
  ['1h', 3_600_000],
  ['30', 30_000],
  ['', null],
  ['-1s', null],
  ['5 minutes', null],
]);

const now = Date.UTC(2026, 0, 8, 12);
table<string>('moments are dates in UTC, or so long before now', (text) => parseMoment(text, now), [
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T14:05', Date.UTC(2026, 0, 31, 14, 5)],
  ['2026-01-31T14:05:06Z', Date.UTC(2026, 0, 31, 14, 5, 6)],
  ['2026-01-31T14:05+02:00', Date.UTC(2026, 0, 31, 12, 5)],
  ['7d', Date.UTC(2026, 0, 1, 12)],
  ['90m', Date.UTC(2026, 0, 8, 10, 30)],
  ['2026-02-31', null],
  ['2026-13-01', null],
  ['2026-01-31T25:00', null],
  ['1w', null],
  ['', null],
]);
