import test from 'ava';
import { palette } from '../../../src/cli/format/color.js';
import { formatFields, formatTable, printable, TableWriter } from '../../../src/cli/format/table.js';
import { cutLine } from '../../../src/cli/screen.js';

const columns = [{ title: 'NAME' }, { title: 'COUNT', align: 'right' }, { title: 'REASON' }] as const;
const red = (text: string): string => `\x1b[31m${text}\x1b[39m`;

test('numbers stand right, text left, and no line ends in spaces', (t) => {
  const rows = [
    ['a', '1', ''],
    ['longer-name', '1,000,000', 'connect: ECONNREFUSED'],
  ];
  t.is(
    formatTable(columns, rows),
    [
      'NAME             COUNT  REASON',
      'a                    1',
      'longer-name  1,000,000  connect: ECONNREFUSED',
      '',
    ].join('\n'),
  );
});

test('colour does not disturb the columns', (t) => {
  const text = formatTable(columns, [[{ text: 'a', paint: red }, '1', 'x']]);
  t.is(text, 'NAME  COUNT  REASON\n\x1b[31ma   \x1b[39m      1  x\n');
});

test('later pages keep the columns of the first, and the header is printed once', (t) => {
  const table = new TableWriter(columns);
  t.is(table.write([['longer-name', '1', 'x']]), 'NAME         COUNT  REASON\nlonger-name      1  x\n');
  t.is(table.write([['a', '2', 'y']]), 'a                2  y\n');
});

test('text from the network cannot steer the terminal', (t) => {
  t.is(printable('HTTP 503\x1b[2J\n\u009b31m'), 'HTTP 503?[2J??31m');
  t.is(formatTable([{ title: 'A' }], [['x\ny']]), 'A\nx?y\n');
});

test('fields are aligned by their names', (t) => {
  t.is(
    formatFields(
      [
        ['Node', 'lb1'],
        ['Sessions', ''],
      ],
      (text) => text,
    ),
    'Node      lb1\nSessions\n',
  );
});

test('lines are cut by what is visible, and colours are closed', (t) => {
  t.is(cutLine(`ab${red('cdef')}gh`, 4), `ab${red('cd')}`);
  t.is(cutLine('abc', 10), 'abc');
});

test('colour is for terminals, and not against NO_COLOR or TERM=dumb', (t) => {
  t.is(palette({ terminal: true, env: {} }).bad('x'), '\x1b[31mx\x1b[39m');
  t.is(palette({ terminal: true, env: { NO_COLOR: '' } }).bad('x'), '\x1b[31mx\x1b[39m');
  t.is(palette({ terminal: true, env: { NO_COLOR: '1' } }).bad('x'), 'x');
  t.is(palette({ terminal: true, env: { TERM: 'dumb' } }).bad('x'), 'x');
  t.is(palette({ terminal: false, env: {} }).bad('x'), 'x');
});
